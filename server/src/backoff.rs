//! Pauses after failures: longer each time, and half left to chance, so that many who failed together do not
//! come back together. <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>

use std::time::Duration;

/// The pause after so many failures in a row: `first`, then twice as long each time up to `longest`; half of it
/// left to chance (`jitter` from 0 to 1).
pub fn pause(first: Duration, longest: Duration, failures: u32, jitter: f64) -> Duration {
    let whole = first
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(longest);
    whole / 2 + whole.mul_f64(jitter / 2.0)
}

/// A number from 0 to 1 that differs from call to call: the random bits of a UUID version 7 (RFC 9562).
pub fn jitter() -> f64 {
    let bits = uuid::Uuid::now_v7().as_u128() as u32;
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(20));
        assert_eq!(pause(first, longest, 0, 1.0), first);
        assert_eq!(pause(first, longest, 2, 1.0), 4 * first);
        assert_eq!(pause(first, longest, 2, 0.0), 2 * first);
        assert_eq!(pause(first, longest, 99, 1.0), longest);
    }
}
