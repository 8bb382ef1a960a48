//! What all connections share, as one of them refers to it.

use std::{fmt, ops::Deref, sync::Arc};

/// A reference that is counted where its connection is served: a request's stages clone it often, and threads that count on one word take
/// its cache line from each other each time.
#[expect(clippy::redundant_allocation, reason = "the second count is what this is for")]
pub(super) struct Near<T>(Arc<Arc<T>>);

impl<T> Near<T> {
    /// For one connection.
    pub(super) fn new(shared: &Arc<T>) -> Self {
        Self(Arc::new(Arc::clone(shared)))
    }
}

impl<T> Clone for Near<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Near<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Near<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (***self).fmt(formatter)
    }
}
