//! What a client has said before its identity was taken: kept so that it can be said once more, on another connection.

use super::authority::Judge;
use crate::server::Lease;

/// Frames in their order. Beyond a few kilobytes they count against the memory.
#[derive(Debug, Default)]
pub(super) struct Replay {
    frames: Vec<u8>,
    /// Counts them; none while there are few.
    lease: Option<Lease>,
}

/// Bytes that are kept without being counted (our choice: most clients begin with less).
const UNCOUNTED_BYTES: usize = 4 * 1_024;
/// Bytes that are kept at most (our choice). Beyond, a refusal closes the connection, and the next one begins as nobody.
const BYTES_AT_MOST: usize = 1 << 20;

impl Replay {
    /// Keeps frames behind the others. `false` when there are too many, or others hold the memory.
    pub(super) fn keep(&mut self, frames: &[u8], judge: &impl Judge) -> bool {
        let bytes = self.frames.len() + frames.len();
        let is_counted = match &mut self.lease {
            _ if bytes <= UNCOUNTED_BYTES => true,
            Some(lease) => lease.grow(frames.len()).is_ok(),
            None => self.lease.insert(judge.lease()).grow(bytes).is_ok(),
        };
        let may_be_kept = is_counted && bytes <= BYTES_AT_MOST;
        if may_be_kept {
            self.frames.extend_from_slice(frames);
        }
        may_be_kept
    }

    /// Says them once more.
    pub(super) fn append_to(mut self, up: &mut Vec<u8>) {
        up.append(&mut self.frames);
    }
}
