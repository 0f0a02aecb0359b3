//! Bounded lines out of a byte stream.

use thiserror::Error;

/// Longest line either side may send, in bytes, without its line feed.
///
/// A batch of twenty orders with every field set is below 16 KiB.
pub const MAX_LINE: usize = 64 * 1024;

/// The peer sent more than [`MAX_LINE`] bytes without a line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a line is longer than {MAX_LINE} bytes")]
pub struct LineTooLong;

/// Cuts what a stream delivers into lines.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Everything before this offset was handed out.
    start: usize,
    /// No line feed before this offset; saves looking twice.
    searched: usize,
}

impl LineBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what was read.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line without its line feed (and without a carriage return before it).
    ///
    /// # Errors
    ///
    /// [`LineTooLong`] if the line exceeds [`MAX_LINE`]; the stream cannot be used any more.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        let Some(offset) = self.bytes[self.searched..].iter().position(|&byte| byte == b'\n') else {
            self.searched = self.bytes.len();
            return if self.bytes.len() - self.start > MAX_LINE { Err(LineTooLong) } else { Ok(None) };
        };
        let end = self.searched + offset;
        if end - self.start > MAX_LINE {
            return Err(LineTooLong);
        }
        let line = &self.bytes[self.start..end];
        self.start = end + 1;
        self.searched = end + 1;
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// Whether [`LineBuffer::next_line`] would return a line.
    ///
    /// # Errors
    ///
    /// [`LineTooLong`], as there.
    pub fn has_line(&mut self) -> Result<bool, LineTooLong> {
        match self.bytes[self.searched..].iter().position(|&byte| byte == b'\n') {
            Some(offset) => {
                self.searched += offset;
                Ok(true)
            }
            None => self.next_line().map(|line| line.is_some()),
        }
    }

    /// What is left without a line feed, for when the stream has ended: a last line, if any.
    pub fn last_line(&mut self) -> Option<&[u8]> {
        let line = &self.bytes[self.start..];
        self.start = self.bytes.len();
        self.searched = self.bytes.len();
        (!line.is_empty()).then(|| line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// How many bytes wait without a line feed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let text = b"one\ntwo\r\n\nthree\nrest";
        for cut in 0..text.len() {
            let mut buffer = LineBuffer::new();
            let mut lines = Vec::new();
            for part in [&text[..cut], &text[cut..]] {
                buffer.extend(part);
                while let Some(line) = buffer.next_line().expect("short lines") {
                    lines.push(line.to_vec());
                }
            }
            assert_eq!(lines, [&b"one"[..], b"two", b"", b"three"], "cut at {cut}");
            assert_eq!(buffer.pending(), 4);
            assert_eq!(buffer.last_line(), Some(&b"rest"[..]));
            assert_eq!((buffer.pending(), buffer.last_line()), (0, None));
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_before_it_ends() {
        let mut buffer = LineBuffer::new();
        buffer.extend(&vec![b'x'; MAX_LINE + 1]);
        assert_eq!(buffer.next_line(), Err(LineTooLong));
        let mut buffer = LineBuffer::new();
        buffer.extend(&vec![b'x'; MAX_LINE]);
        assert_eq!(buffer.next_line(), Ok(None));
        buffer.extend(b"\n");
        assert_eq!(buffer.next_line().expect("exactly the limit").map(<[u8]>::len), Some(MAX_LINE));
    }
}
