//! What happens when, by a seed: a generator of numbers, and what it makes of a call to AWS.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood, 2014): small, and the same on every machine.
#[derive(Debug, Clone)]
pub struct Schedule {
    state: u64,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// AWS asks to call less often.
    Throttled,
    /// 500 or 503, and nothing was done.
    Failed(u16),
    /// The connection ends before AWS hears of the call.
    CutBefore,
    /// AWS does what it was asked for, and the answer is lost.
    CutAfter,
    /// AWS hears the same call twice.
    Doubled,
    /// AWS hears of it later.
    Late(Duration),
    /// AWS hears of it after the call that comes next.
    Behind,
}

impl Schedule {
    pub fn new(seed: u64, block: u64) -> Schedule {
        let mut schedule = Schedule { state: seed };
        schedule.state = schedule.next() ^ block.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        schedule
    }

    /// Another one, which depends on this one's seed and a name only.
    pub fn branch(&self, name: &str) -> Schedule {
        let mut state = self.state;
        for byte in name.bytes() {
            state = Schedule {
                state: state ^ u64::from(byte),
            }
            .next();
        }
        Schedule { state }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// What becomes of the next call: of three, one meets a fault.
    pub fn fault(&mut self) -> Fault {
        match self.below(30) {
            0 => Fault::Throttled,
            1 => Fault::Failed(500),
            2 => Fault::Failed(503),
            3 => Fault::CutBefore,
            4 | 5 => Fault::CutAfter,
            6 | 7 => Fault::Doubled,
            8 => Fault::Late(Duration::from_millis(self.below(400))),
            9 => Fault::Behind,
            _ => Fault::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_again_and_another_one_something_else() {
        let faults = |seed| {
            let mut schedule = Schedule::new(seed, 0).branch("proxy");
            (0..100).map(|_| schedule.fault()).collect::<Vec<_>>()
        };
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
        assert!(faults(1).contains(&Fault::CutAfter));
    }
}
