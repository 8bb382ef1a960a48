//! The threads that serve: each has a runtime of its own, and a connection stays on the thread that accepted it.
//!
//! A request meets no other thread on its way: its client, its call to the deployment and its timers are woken where it runs. On a runtime
//! whose threads share their tasks, a small call passed through cost half as much again, for waking the other thread.

use std::{future::Future, io, num::NonZero, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tracing::dispatcher;

/// Threads with their runtimes. They end when this is dropped, with whatever they still do.
#[derive(Debug)]
pub struct Workers {
    runtimes: Vec<Handle>,
    stop: CancellationToken,
}

impl Workers {
    /// As many as this process may use processors: its affinity and its cgroup's quota count.
    ///
    /// # Errors
    ///
    /// [`io::Error`]: the system gives no thread, or no more descriptors.
    pub fn start() -> io::Result<Self> {
        let mut workers = Self { runtimes: Vec::new(), stop: CancellationToken::new() };
        for number in 0..Self::count() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            workers.runtimes.push(runtime.handle().clone());
            let stop = workers.stop.clone();
            // What is logged there is heard by whoever hears it here.
            let log = dispatcher::get_default(Clone::clone);
            let work = move || dispatcher::with_default(&log, || runtime.block_on(stop.cancelled_owned()));
            thread::Builder::new().name(format!("worker-{number}")).spawn(work)?;
        }
        Ok(workers)
    }

    /// How many there are in this process, and so how many clients of the deployment.
    pub fn count() -> usize {
        thread::available_parallelism().map_or(1, NonZero::get)
    }

    /// Runs a future on each, made there by `make`.
    pub(super) fn on_each<Made>(&self, make: impl Fn() -> io::Result<Made>) -> io::Result<()>
    where
        Made: Future<Output = ()> + Send + 'static,
    {
        for runtime in &self.runtimes {
            runtime.spawn(make()?);
        }
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
