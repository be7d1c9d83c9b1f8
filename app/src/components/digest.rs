//! An image's digest as people read it, and where the page about images has it.

/// The first twelve digits of a digest, without its algorithm.
pub fn short_digest(digest: &str) -> String {
    digest
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .take(12)
        .collect()
}

/// The image's element on the page about images.
pub fn image_anchor(digest: &str) -> String {
    format!("image-{}", short_digest(digest))
}

/// Where to read about the image.
pub fn image_href(digest: &str) -> String {
    format!("/images#{}", image_anchor(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_short_without_its_algorithm() {
        let digest = "sha256:0123456789abcdef0123456789abcdef";
        assert_eq!(short_digest(digest), "0123456789ab");
        assert_eq!(image_href(digest), "/images#image-0123456789ab");
        assert_eq!(short_digest(""), "");
    }
}
