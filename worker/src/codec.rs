//! Bytes as text. Owns hexadecimal, which nothing else here brings along.

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_nibble_is_written() {
        assert_eq!(super::hex(&[0x00, 0x0f, 0xa9, 0xff]), "000fa9ff");
    }
}
