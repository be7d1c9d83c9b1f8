//! How a source is cut into parts. Pure: sizes in, parts out.

use serde::{Deserialize, Serialize};

use crate::{Failure, Kind};

/// Parts of one upload. S3 takes 10,000; the parts' results must fit a Step Functions payload (262,144 bytes)
/// and their Map iterations a history (25,000 events).
pub const PARTS_MAX: u64 = 1_000;
/// A part is held in memory while it is sent.
pub const PART_BYTES_MAX: u64 = 256 * MIB;
/// The largest source: 250 GiB.
pub const SOURCE_BYTES_MAX: u64 = PARTS_MAX * PART_BYTES_MAX;
/// S3 takes smaller parts only as an upload's last.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const PART_BYTES_MIN: u64 = 5 * MIB;
/// After so many parts of a source of unknown size, parts double.
const PARTS_BEFORE_DOUBLING: u32 = 200;
const MIB: u64 = 1024 * 1024;

/// One item of the Transfer Map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// From 1, as S3 counts.
    pub number: u32,
    pub offset: u64,
    /// None when the source does not say how long it is.
    pub bytes: Option<u64>,
    /// The item is the whole source, which cannot be read by ranges: it is sent as parts of this size, in sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_bytes: Option<u64>,
}

/// The parts of a source. `part_mib` is a wish: parts grow where there would be too many.
/// Fails with `Source.Empty` and `Source.TooLarge`.
pub fn parts(bytes: Option<u64>, ranges: bool, part_mib: u64) -> Result<Vec<Part>, Failure> {
    let wish = part_mib
        .saturating_mul(MIB)
        .clamp(PART_BYTES_MIN, PART_BYTES_MAX);
    let Some(total) = bytes else {
        return Ok(vec![whole(None, wish)]);
    };
    if total == 0 {
        let message = "the source is empty (0 bytes): check that it was written completely";
        return Err(Failure::new(Kind::SourceEmpty, message));
    }
    if total > SOURCE_BYTES_MAX {
        return Err(too_large(total));
    }
    // Rounded up to a MiB, so that offsets stay readable.
    let part_bytes = wish.max(total.div_ceil(PARTS_MAX).div_ceil(MIB) * MIB);
    if !ranges {
        return Ok(vec![whole(Some(total), part_bytes)]);
    }
    let count = total.div_ceil(part_bytes);
    let part = |index: u64| Part {
        number: index as u32 + 1,
        offset: index * part_bytes,
        bytes: Some(part_bytes.min(total - index * part_bytes)),
        split_bytes: None,
    };
    Ok((0..count).map(part).collect())
}

/// The size of the `number`th part of a source that is sent in sequence: constant where the plan knew the
/// total, growing where it did not.
pub fn split_bytes(base: u64, number: u32, total: Option<u64>) -> u64 {
    match total {
        Some(_) => base,
        None => {
            let doublings = (number.saturating_sub(1) / PARTS_BEFORE_DOUBLING).min(16);
            (base << doublings).min(PART_BYTES_MAX)
        }
    }
}

/// The failure of a source beyond the largest.
pub fn too_large(bytes: u64) -> Failure {
    let message = format!(
        "the source has {} or more, the most that can be copied is {}: cut it into several",
        model::time::bytes_text(bytes),
        model::time::bytes_text(SOURCE_BYTES_MAX),
    );
    Failure::new(Kind::SourceTooLarge, message)
}

fn whole(bytes: Option<u64>, split_bytes: u64) -> Part {
    Part {
        number: 1,
        offset: 0,
        bytes,
        split_bytes: Some(split_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(total: u64, part_mib: u64, count: usize, first: u64, last: u64) {
        let parts = parts(Some(total), true, part_mib).expect("a plan");
        assert_eq!(parts.len(), count, "parts of {total}");
        assert_eq!(parts[0].bytes, Some(first));
        assert_eq!(parts[count - 1].bytes, Some(last));
        let mut at = 0;
        for (index, part) in parts.iter().enumerate() {
            assert_eq!((part.number as usize, part.offset), (index + 1, at));
            at += part.bytes.expect("known");
        }
        assert_eq!(at, total, "parts cover the source");
    }

    #[test]
    fn parts_cover_the_source_exactly() {
        check(1, 8, 1, 1, 1);
        check(8 * MIB, 8, 1, 8 * MIB, 8 * MIB);
        check(8 * MIB + 1, 8, 2, 8 * MIB, 1);
        check(22_718_509, 8, 3, 8 * MIB, 22_718_509 - 16 * MIB);
        check(22_718_509, 1, 5, 5 * MIB, 22_718_509 - 20 * MIB);
    }

    #[test]
    fn parts_grow_before_there_are_more_than_a_thousand() {
        check(8_000 * MIB, 8, 1000, 8 * MIB, 8 * MIB);
        check(8_000 * MIB + 1, 8, 889, 9 * MIB, 8 * MIB + 1);
        check(SOURCE_BYTES_MAX, 8, 1000, PART_BYTES_MAX, PART_BYTES_MAX);
    }

    #[test]
    fn what_cannot_be_copied_says_why() {
        let kind = |bytes| parts(Some(bytes), true, 8).map_err(|failure| failure.kind);
        assert_eq!(kind(0), Err(Kind::SourceEmpty));
        assert_eq!(kind(SOURCE_BYTES_MAX + 1), Err(Kind::SourceTooLarge));
    }

    #[test]
    fn without_ranges_or_size_there_is_one_item() {
        let plan = parts(Some(100 * MIB), false, 8).expect("a plan");
        assert_eq!(plan, [whole(Some(100 * MIB), 8 * MIB)]);
        let plan = parts(None, true, 8).expect("a plan");
        assert_eq!(plan, [whole(None, 8 * MIB)]);
    }

    #[test]
    fn parts_of_unknown_sources_grow_late() {
        assert_eq!(split_bytes(8, 200, None), 8);
        assert_eq!(split_bytes(8, 201, None), 16);
        assert_eq!(split_bytes(8, 999, None), 128);
        assert_eq!(split_bytes(8, 999, Some(1)), 8);
        assert_eq!(split_bytes(64 * MIB, 999, None), PART_BYTES_MAX);
    }
}
