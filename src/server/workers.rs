//! The threads that serve: each has a runtime of its own, and a connection stays on the thread that it was given to.
//!
//! A request meets no other thread on its way: its client, its call to the deployment and its timers are woken where it runs. On a runtime
//! whose threads share their tasks, a small call passed through cost half as much again, for waking the other thread.

use std::{
    future::Future,
    io,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tracing::dispatcher;

/// Threads with their runtimes. They end when this is dropped, with whatever they still do.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection's place on a worker, and that of whatever it becomes. Counted until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Workers {
    /// As many as this process may use processors: its affinity and its cgroup's quota count.
    ///
    /// # Errors
    ///
    /// [`io::Error`]: the system gives no thread, or no more descriptors.
    pub fn start() -> io::Result<Self> {
        let mut all = Self { workers: Vec::new(), stop: CancellationToken::new() };
        for number in 0..Self::count() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            all.workers.push(Worker { runtime: runtime.handle().clone(), connections: Arc::default() });
            let stop = all.stop.clone();
            // What is logged there is heard by whoever hears it here.
            let log = dispatcher::get_default(Clone::clone);
            let work = move || dispatcher::with_default(&log, || runtime.block_on(stop.cancelled_owned()));
            thread::Builder::new().name(format!("worker-{number}")).spawn(work)?;
        }
        Ok(all)
    }

    /// How many there are in this process, and so how many clients of the deployment.
    pub fn count() -> usize {
        thread::available_parallelism().map_or(1, NonZero::get)
    }

    /// Runs what `serve` makes on the worker with the fewest connections.
    pub(super) fn give<Serving>(&self, serve: impl FnOnce(Place) -> Serving)
    where
        Serving: Future<Output = ()> + Send + 'static,
    {
        if let Some(worker) = self.workers.iter().min_by_key(|worker| worker.connections.load(Relaxed)) {
            worker.runtime.spawn(serve(Place::new(&worker.connections)));
        }
    }
}

impl Place {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::Workers;

    #[tokio::test]
    async fn connections_are_spread_evenly_and_leave_their_place() {
        let workers = Workers::start().expect("threads");
        let counts = || workers.workers.iter().map(|worker| worker.connections.load(Relaxed)).collect::<Vec<_>>();
        let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..4 * Workers::count() {
            let sender = sender.clone();
            workers.give(|place| async move { sender.send(place).expect("heard") });
        }
        assert_eq!(counts(), vec![4; Workers::count()]);
        let mut places = Vec::new();
        served.recv_many(&mut places, usize::MAX).await;
        while places.len() < 4 * Workers::count() {
            places.extend(served.recv().await);
        }
        drop(places);
        assert_eq!(counts(), vec![0; Workers::count()]);
    }
}
