//! One mail on its way in: who sends it, to whom, and its lines.

use super::line::Line;

/// The largest mail, in bytes, as announced by `SIZE`.
pub(crate) const MAX_MAIL_BYTES: usize = 1024 * 1024;
/// The most recipients of one mail; RFC 5321 section 4.5.3.1.8 asks for no fewer.
pub(crate) const MAX_RECIPIENTS: usize = 100;

/// A mail transaction, from `MAIL` to the line that is a single dot.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    data: Vec<u8>,
    fault: Option<Fault>,
}

/// Why a mail is refused once it has been read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLarge,
    LineTooLong,
    BareLineFeed,
    NoMessageId,
}

impl Envelope {
    /// Begins a mail from this address, which is empty for a bounce.
    pub(crate) fn new(from: String) -> Self {
        Envelope { from, ..Envelope::default() }
    }

    /// Takes one line of the mail and returns whether it was the last: a dot by itself. A dot that
    /// the sender put before another one is taken off (RFC 5321 section 4.5.2).
    ///
    /// After a fault nothing more is kept, but lines are read to the end, because only there may
    /// the answer be given.
    pub(crate) fn push(&mut self, line: Line) -> bool {
        let text = match line {
            Line::Proper(text) => text,
            Line::Bare(_) => return self.fail(Fault::BareLineFeed),
            Line::TooLong => return self.fail(Fault::LineTooLong),
        };
        if text == b"." {
            return true;
        }
        let text = text.strip_prefix(b".").unwrap_or(&text);
        if self.data.len() + text.len() + 2 > MAX_MAIL_BYTES {
            return self.fail(Fault::TooLarge);
        }
        if self.fault.is_none() {
            self.data.extend_from_slice(text);
            self.data.extend_from_slice(b"\r\n");
        }
        false
    }

    /// The message id without its angle brackets, once the mail is complete.
    pub(crate) fn message_id(&self) -> Result<String, Fault> {
        match self.fault {
            Some(fault) => Err(fault),
            None => find_message_id(&self.data).ok_or(Fault::NoMessageId),
        }
    }

    /// The mail with its headers, dots unstuffed.
    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    fn fail(&mut self, fault: Fault) -> bool {
        self.fault.get_or_insert(fault);
        self.data = Vec::new();
        false
    }
}

impl Fault {
    /// The reply that ends the mail.
    pub(crate) fn reply(self) -> &'static str {
        match self {
            Fault::TooLarge => "552 Message exceeds the maximum size",
            Fault::LineTooLong => "554 Line too long",
            Fault::BareLineFeed => "554 Lines must end in CR LF",
            Fault::NoMessageId => "554 No Message-ID, so repetitions cannot be told apart",
        }
    }
}

/// The value of the first Message-ID field. Fields end at the first empty line, and a line that
/// begins with white space continues the one before (RFC 5322 section 2.2.3).
fn find_message_id(mail: &[u8]) -> Option<String> {
    let mut value: Option<String> = None;
    for line in mail.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        if let Some(value) = &mut value {
            if !line.starts_with([' ', '\t']) {
                break;
            }
            value.push_str(&line);
            continue;
        }
        if line.is_empty() {
            return None;
        }
        if let Some((name, rest)) = line.split_once(':')
            && name.trim_end().eq_ignore_ascii_case("message-id")
        {
            value = Some(rest.to_owned());
        }
    }
    let value = value?;
    let id = value.trim();
    let id = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id).trim();
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(lines: &[&str]) -> (Envelope, bool) {
        let mut envelope = Envelope::new(String::new());
        let mut ended = false;
        for line in lines {
            ended = envelope.push(Line::Proper(line.as_bytes().to_vec()));
        }
        (envelope, ended)
    }

    #[test]
    fn stuffed_dots_are_taken_off_and_one_dot_ends_the_mail() {
        let (envelope, ended) = mail(&["Message-ID: <a@b>", "", "..", "..two", ".one", "."]);
        assert!(ended);
        assert_eq!(envelope.data(), b"Message-ID: <a@b>\r\n\r\n.\r\n.two\r\none\r\n");
    }

    #[test]
    fn the_message_id_is_found_folded_and_in_any_case_but_not_in_the_body() {
        let id = |lines: &[&str]| mail(lines).0.message_id();
        assert_eq!(id(&["Subject: x", "message-id:", " <a@b>", "To: y"]).as_deref(), Ok("a@b"));
        assert_eq!(id(&["MESSAGE-ID:plain"]).as_deref(), Ok("plain"));
        assert_eq!(id(&["Subject: x", "", "Message-ID: <a@b>"]), Err(Fault::NoMessageId));
        assert_eq!(id(&["Message-ID: <>"]), Err(Fault::NoMessageId));
    }

    #[test]
    fn a_fault_is_told_at_the_end_of_the_mail() {
        let mut envelope = mail(&["Message-ID: <a@b>"]).0;
        assert!(!envelope.push(Line::TooLong));
        assert!(!envelope.push(Line::Bare(b".".to_vec())));
        assert!(envelope.push(Line::Proper(b".".to_vec())));
        assert_eq!(envelope.message_id(), Err(Fault::LineTooLong));
    }

    #[test]
    fn a_mail_above_the_size_limit_is_not_kept() {
        let (mut envelope, _) = mail(&["Message-ID: <a@b>"]);
        for _ in 0..=MAX_MAIL_BYTES / 900 {
            assert!(!envelope.push(Line::Proper(vec![b'x'; 900])));
        }
        assert_eq!(envelope.message_id(), Err(Fault::TooLarge));
        assert!(envelope.data().len() < MAX_MAIL_BYTES);
    }
}
