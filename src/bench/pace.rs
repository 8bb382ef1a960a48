//! How often a piece of work is done in a while, by one thread or by several at once.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::BenchProblem;

/// What came of a while's work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// By all threads together.
    pub(super) per_second: f64,
    /// What one piece took of a processor, in microseconds; none where the system does not tell.
    pub(super) cpu_micros: Option<f64>,
}

/// Works for `each` on so many threads at once; `make` gives each thread its work. `batch` pieces are done between two looks at the clock.
pub(super) fn pace<Work>(
    threads: usize,
    each: Duration,
    batch: u32,
    make: impl Fn() -> Result<Work, BenchProblem>,
) -> Result<Pace, BenchProblem>
where
    Work: FnMut() + Send,
{
    let works = (0..threads).map(|_| make()).collect::<Result<Vec<_>, _>>()?;
    let turns: Vec<Turn> = thread::scope(|scope| {
        let started: Vec<_> = works.into_iter().map(|work| scope.spawn(move || turn(each, batch, work))).collect();
        started.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    if turns.len() < threads {
        return Err(BenchProblem::Wrong("the work of a thread"));
    }
    let pieces: f64 = turns.iter().map(|turn| turn.pieces as f64).sum();
    let cpu: Option<Duration> = turns.iter().map(|turn| turn.cpu).sum();
    Ok(Pace {
        per_second: turns.iter().map(|turn| turn.pieces as f64 / turn.took.as_secs_f64()).sum(),
        cpu_micros: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / pieces),
    })
}

struct Turn {
    pieces: u64,
    took: Duration,
    cpu: Option<Duration>,
}

fn turn(each: Duration, batch: u32, mut work: impl FnMut()) -> Turn {
    let mut work_for = |time: Duration| {
        let (mut pieces, begun) = (0, Instant::now());
        while begun.elapsed() < time {
            (0..batch).for_each(|_| work());
            pieces += u64::from(batch);
        }
        (pieces, begun.elapsed())
    };
    work_for(each / 10);
    let before = cpu_of_this_thread();
    let (pieces, took) = work_for(each);
    let cpu = before.zip(cpu_of_this_thread()).map(|(before, after)| after.saturating_sub(before));
    Turn { pieces, took, cpu }
}

/// User and system time, where Linux tells it.
fn cpu_of_this_thread() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pace;

    #[test]
    fn every_thread_works_and_is_counted() {
        let done = std::sync::atomic::AtomicU64::new(0);
        let work = || Ok(|| _ = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let pace = pace(3, Duration::from_millis(10), 8, work).expect("no thread fails");
        assert!(pace.per_second > 0.0);
        assert!(
            done.load(std::sync::atomic::Ordering::Relaxed) >= 3 * 2 * 8,
            "each of three, before and while it is timed"
        );
    }

    #[test]
    fn a_thread_that_fails_is_told() {
        let failed = pace(1, Duration::from_millis(1), 1, || Ok(|| panic!("as some work does")));
        assert!(failed.is_err());
    }
}
