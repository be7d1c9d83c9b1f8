//! Owns chance: a small generator that gives the same numbers for the same seed.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): good enough for jitter and ids, and not for secrets.

/// A source of numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The source for a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of at least `low` and less than `high`; `low` if there is none.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.saturating_sub(low);
        if width <= 0 {
            return low;
        }
        // Multiplying instead of dividing avoids favouring small numbers (Lemire 2019).
        let part = (u128::from(self.draw()) * width as u128) >> 64;
        low + part as i64
    }

    /// A version 4 UUID (RFC 9562).
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.draw(), self.draw());
        let high = (a & 0xffff_ffff_ffff_0fff) | 0x4000;
        let low = (b & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_numbers() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert_eq!(a.draw(), b.draw());
        assert_eq!(a.uuid(), b.uuid());
        assert_ne!(Random::new(7).draw(), Random::new(8).draw());
    }

    #[test]
    fn between_keeps_within() {
        let mut random = Random::new(1);
        let numbers: Vec<i64> = (0..1000).map(|_| random.between(-3, 4)).collect();
        assert!(numbers.iter().all(|n| (-3..4).contains(n)));
        assert!((-3..4).all(|n| numbers.contains(&n)));
        assert_eq!(random.between(5, 5), 5);
    }

    #[test]
    fn uuid_is_version_4() {
        let uuid = Random::new(42).uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!(["8", "9", "a", "b"].contains(&&uuid[19..20]));
    }
}
