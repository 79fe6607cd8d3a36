//! Checks that work on untrusted input grows linearly with the input.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::time::{Duration, Instant};

/// Maximum number of measurements: a busy machine disturbs some of them, seldom all.
const MAX_ROUNDS: usize = 60;
/// Minimum time of a measurement; shorter times are mostly noise.
const SHORTEST_TIME: Duration = Duration::from_micros(20);

/// Checks that eight times the input takes less than 32 times as long; quadratic work takes 64 times as long.
///
/// `make` returns an input of a size, and `work` is measured on inputs of a quarter of `size` and of twice `size`. Both
/// are measured in turn, and the fastest run of each counts. The bound leaves room for sorting, and for caches that the
/// large input does not fit into.
///
/// # Panics
/// If the times grow faster in each of up to sixty rounds.
pub fn assert_linear<T>(what: &str, size: usize, make: impl Fn(usize) -> T, mut work: impl FnMut(&T)) {
    let (small, large) = (make(size / 4), make(2 * size));
    let mut time = |input: &T| {
        let began = Instant::now();
        work(input);
        began.elapsed().max(SHORTEST_TIME)
    };
    let (mut fastest_small, mut fastest_large) = (Duration::MAX, Duration::MAX);
    for round in 0..MAX_ROUNDS {
        fastest_small = fastest_small.min(time(&small));
        fastest_large = fastest_large.min(time(&large));
        // The first rounds fill caches.
        if round >= 2 && fastest_large < 32 * fastest_small {
            return;
        }
    }
    panic!("{what}: size {} takes {fastest_small:?}, and {} takes {fastest_large:?}", size / 4, 2 * size);
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
    #[should_panic(expected = "pairs: size 250 takes")]
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
