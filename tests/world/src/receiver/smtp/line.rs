//! Lines as SMTP sends them, read within a limit.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// One line without its ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Ended by CR LF, as RFC 5321 wants it.
    Proper(Vec<u8>),
    /// Ended by LF alone. Commands typed by hand are welcome to it; in a mail it is how one
    /// message is smuggled into another (RFC 5321 section 2.3.8), and is refused.
    Bare(Vec<u8>),
    /// Longer than the limit; its bytes were read and thrown away.
    TooLong,
}

/// Reads one line of at most `max_bytes`, its ending included; `None` at the end of the stream.
/// A last line without any ending does not count.
pub(crate) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    max_bytes: usize,
) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut overflow = false;
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(None);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        overflow |= line.len() + taken > max_bytes;
        if !overflow {
            line.extend_from_slice(chunk.get(..taken).unwrap_or_default());
        }
        reader.consume(taken);
        if end.is_none() {
            continue;
        }
        if overflow {
            return Ok(Some(Line::TooLong));
        }
        line.pop();
        return Ok(Some(match line.last() {
            Some(b'\r') => {
                line.pop();
                Line::Proper(line)
            }
            _ => Line::Bare(line),
        }));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[tokio::test]
    async fn lines_are_told_apart_by_their_ending_and_length() {
        // A buffer smaller than the lines, so that each is put together from several reads.
        let mut reader = BufReader::with_capacity(3, &b"HELO me\r\nQUIT\n123456789\r\nNOOP\r\nRS"[..]);
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut reader, 10).await.unwrap() {
            lines.push(line);
        }
        let expected = [
            Line::Proper(b"HELO me".to_vec()),
            Line::Bare(b"QUIT".to_vec()),
            Line::TooLong,
            Line::Proper(b"NOOP".to_vec()),
        ];
        assert_eq!(lines, expected);
    }
}
