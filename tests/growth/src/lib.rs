//! Checks that work on untrusted input grows linearly with the input.

use std::time::{Duration, Instant};

/// Maximum number of measurements: a busy machine disturbs some of them, seldom all.
const MAX_ROUNDS: usize = 60;
/// Shorter times are mostly noise.
const SHORTEST_TIME: Duration = Duration::from_micros(20);

/// Checks that twice the input takes less than three times as long; work that grows with the square takes four times as long.
///
/// `make` makes an input of a size, and `work` is measured on inputs of `size` and of twice that. Both are measured in turn, and the
/// fastest run of each counts.
///
/// # Panics
/// When the times grow faster in each of up to sixty rounds.
pub fn assert_linear<T>(what: &str, size: usize, make: impl Fn(usize) -> T, mut work: impl FnMut(&T)) {
    let (once, twice) = (make(size), make(2 * size));
    let mut time = |input: &T| {
        let began = Instant::now();
        work(input);
        began.elapsed().max(SHORTEST_TIME)
    };
    let (mut fastest_once, mut fastest_twice) = (Duration::MAX, Duration::MAX);
    for round in 0..MAX_ROUNDS {
        fastest_once = fastest_once.min(time(&once));
        fastest_twice = fastest_twice.min(time(&twice));
        // The first rounds fill caches.
        if round >= 2 && fastest_twice < 3 * fastest_once {
            return;
        }
    }
    panic!("{what}: size {size} takes {fastest_once:?}, and twice that {fastest_twice:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_work_is_let_through() {
        assert_linear(
            "a sum",
            100_000,
            |size| vec![1_u64; size],
            |input| {
                std::hint::black_box(input.iter().sum::<u64>());
            },
        );
    }

    #[test]
    #[should_panic(expected = "pairs: size 1000 takes")]
    fn quadratic_work_is_not() {
        assert_linear(
            "pairs",
            1_000,
            |size| vec![1_u64; size],
            |input| {
                for one in input {
                    std::hint::black_box(input.iter().map(|other| std::hint::black_box(one * other)).sum::<u64>());
                }
            },
        );
    }
}
