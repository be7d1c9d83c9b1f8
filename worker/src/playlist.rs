//! HLS playlists (RFC 8216): reads the media playlist that ffmpeg wrote, writes the master playlist.
//! Owns what both say about bit rates and codecs. Pure: text and bytes in, text and numbers out.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// One entry of a master playlist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// `720p`; the media playlist is `<label>.m3u8` beside the master.
    pub label: String,
    /// None for sound alone.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    /// Of the segment with the most, in bits a second (section 4.3.4.2, BANDWIDTH).
    pub bandwidth: u64,
    pub average_bandwidth: u64,
    /// RFC 6381: `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
}

/// What a media playlist of byte ranges says.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub bandwidth: u64,
    pub average_bandwidth: u64,
    pub segment_count: usize,
    pub duration_ms: u64,
    /// Every address in it.
    pub addresses: Vec<String>,
}

/// Measures a media playlist whose segments are byte ranges. None when it has no segments.
pub fn measure(playlist: &str) -> Option<Measured> {
    let mut addresses: Vec<String> = Vec::new();
    let mut seconds = None;
    let mut bytes = None;
    let (mut peak, mut total_seconds, mut total_bytes, mut count) = (0.0_f64, 0.0, 0_u64, 0);
    for line in playlist.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#EXTINF:") {
            seconds = rest
                .split(',')
                .next()
                .and_then(|value| value.parse::<f64>().ok());
        } else if let Some(rest) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            bytes = rest
                .split('@')
                .next()
                .and_then(|value| value.parse::<u64>().ok());
        } else if let Some(rest) = line.strip_prefix("#EXT-X-MAP:URI=\"") {
            addresses.extend(rest.split('"').next().map(str::to_owned));
        } else if !line.is_empty() && !line.starts_with('#') {
            addresses.push(line.to_owned());
            let (seconds, bytes) = (seconds.take()?, bytes.take()?);
            if seconds > 0.0 {
                peak = peak.max(bytes as f64 * 8.0 / seconds);
            }
            total_seconds += seconds;
            total_bytes += bytes;
            count += 1;
        }
    }
    if count == 0 || total_seconds <= 0.0 {
        return None;
    }
    addresses.sort();
    addresses.dedup();
    Some(Measured {
        bandwidth: peak.ceil() as u64,
        average_bandwidth: (total_bytes as f64 * 8.0 / total_seconds).ceil() as u64,
        segment_count: count,
        duration_ms: (total_seconds * 1000.0).round() as u64,
        addresses,
    })
}

/// The master playlist of these variants, the best one first: players that choose none start with it.
pub fn master(variants: &[Variant]) -> String {
    let mut order: Vec<&Variant> = variants.iter().collect();
    order.sort_by_key(|variant| std::cmp::Reverse((variant.height, variant.bandwidth)));
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    for variant in order {
        // Writing into a String does not fail.
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"",
            variant.bandwidth, variant.average_bandwidth, variant.codecs
        );
        if let (Some(width), Some(height)) = (variant.width, variant.height) {
            let _ = write!(text, ",RESOLUTION={width}x{height}");
        }
        if let Some(rate) = variant.frame_rate {
            let _ = write!(text, ",FRAME-RATE={rate:.3}");
        }
        let _ = write!(text, "\n{}.m3u8\n", variant.label);
    }
    text
}

/// The H.264 codec's name (RFC 6381, section 3.3) from an MP4 file's start, where its `avcC` box stands
/// (ISO/IEC 14496-15): profile, constraints and level in hexadecimal.
pub fn avc_codec(start: &[u8]) -> Option<String> {
    let at = start.windows(4).position(|name| name == b"avcC")?;
    match start.get(at + 4..at + 8)? {
        [1, profile, constraints, level] => {
            Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEDIA: &str = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"360p.mp4\",BYTERANGE=\"1353@0\"\n\
        #EXTINF:2.000000,\n#EXT-X-BYTERANGE:186417@1353\n360p.mp4\n#EXTINF:1.280000,\n#EXT-X-BYTERANGE:152177@187770\n360p.mp4\n#EXT-X-ENDLIST\n";

    #[test]
    fn bandwidth_is_of_the_densest_segment() {
        let measured = measure(MEDIA).expect("two segments");
        assert_eq!(
            measured.bandwidth,
            (152_177.0_f64 * 8.0 / 1.28).ceil() as u64
        );
        assert_eq!(
            measured.average_bandwidth,
            ((186_417 + 152_177) as f64 * 8.0 / 3.28).ceil() as u64
        );
        assert_eq!((measured.segment_count, measured.duration_ms), (2, 3_280));
        assert_eq!(measured.addresses, ["360p.mp4"]);
        assert_eq!(measure("#EXTM3U\n#EXT-X-ENDLIST\n"), None);
        assert_eq!(measure("#EXTINF:2,\nwithout-range.mp4\n"), None);
    }

    #[test]
    fn the_master_lists_the_best_first() {
        let variant = |label: &str, height| Variant {
            label: label.to_owned(),
            width: Some(height * 16 / 9),
            height: Some(height),
            frame_rate: Some(23.976_023),
            bandwidth: u64::from(height) * 1000,
            average_bandwidth: u64::from(height) * 900,
            codecs: "avc1.64001f,mp4a.40.2".to_owned(),
        };
        assert_eq!(
            master(&[variant("360p", 360), variant("720p", 720)]),
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-STREAM-INF:BANDWIDTH=720000,AVERAGE-BANDWIDTH=648000,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=23.976\n720p.m3u8\n\
             #EXT-X-STREAM-INF:BANDWIDTH=360000,AVERAGE-BANDWIDTH=324000,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=23.976\n360p.m3u8\n"
        );
    }

    #[test]
    fn sound_alone_has_no_resolution() {
        let audio = Variant {
            label: "audio".to_owned(),
            width: None,
            height: None,
            frame_rate: None,
            bandwidth: 130_000,
            average_bandwidth: 128_000,
            codecs: "mp4a.40.2".to_owned(),
        };
        assert!(master(&[audio]).ends_with(
            "BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS=\"mp4a.40.2\"\naudio.m3u8\n"
        ));
    }

    #[test]
    fn the_codec_is_read_from_the_file() {
        let start = [b"\0\0\0\x2favcC\x01\x64\x00\x1f\xff".as_slice(), &[0; 8]].concat();
        assert_eq!(avc_codec(&start).as_deref(), Some("avc1.64001f"));
        assert_eq!(avc_codec(b"avcC\x01"), None);
        assert_eq!(avc_codec(b"nothing"), None);
    }
}
