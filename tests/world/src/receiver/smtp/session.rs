//! What the commands of one mail connection mean (RFC 5321 section 4). No input or output here.

use std::borrow::Cow;

use super::envelope::{Envelope, MAX_MAIL_BYTES, MAX_RECIPIENTS};

/// How many commands a sender may get wrong before the connection is closed.
const MAX_BAD_COMMANDS: u32 = 20;

/// A reply without its last CR LF.
pub(crate) type Reply = Cow<'static, str>;

/// What the connection does after a command.
#[derive(Debug)]
pub(crate) enum Step {
    /// Answer and read the next command.
    Say(Reply),
    /// Answer and read the lines of this mail.
    Collect(Reply, Envelope),
    /// Answer and close.
    Close(Reply),
}

/// The state between two commands.
#[derive(Debug, Default)]
pub(crate) struct Session {
    greeted: bool,
    envelope: Option<Envelope>,
    bad_commands: u32,
}

impl Session {
    /// Takes one command line without its ending.
    pub(crate) fn command(&mut self, line: &[u8]) -> Step {
        let Ok(line) = std::str::from_utf8(line) else { return self.bad("500 Commands are ASCII") };
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim();
        match verb.trim_end().to_ascii_uppercase().as_str() {
            "HELO" => self.greet(argument, "250 receiver".into()),
            "EHLO" => self.greet(
                argument,
                format!("250-receiver\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE {MAX_MAIL_BYTES}").into(),
            ),
            "MAIL" => self.mail(argument),
            "RCPT" => self.recipient(argument),
            "DATA" => self.data(argument),
            "RSET" => {
                self.envelope = None;
                say("250 OK")
            }
            "NOOP" => say("250 OK"),
            "VRFY" => say("252 Send it and see"),
            "QUIT" => Step::Close("221 Goodbye".into()),
            "EXPN" | "HELP" | "AUTH" | "STARTTLS" => self.bad("502 Command not implemented"),
            _ => self.bad("500 Command not recognized"),
        }
    }

    /// Answers something that is no proper command, and closes after too much of it.
    pub(crate) fn bad(&mut self, reply: &'static str) -> Step {
        self.bad_commands += 1;
        if self.bad_commands > MAX_BAD_COMMANDS {
            return Step::Close("421 Too many bad commands".into());
        }
        say(reply)
    }

    fn greet(&mut self, domain: &str, reply: Reply) -> Step {
        if domain.is_empty() {
            return self.bad("501 Who are you?");
        }
        self.greeted = true;
        // A greeting also resets (section 4.1.4).
        self.envelope = None;
        Step::Say(reply)
    }

    fn mail(&mut self, argument: &str) -> Step {
        if !self.greeted {
            return self.bad("503 Greet first");
        }
        if self.envelope.is_some() {
            return self.bad("503 Another mail is open");
        }
        let Some((from, parameters)) = path(argument, "FROM:") else {
            return self.bad("501 Expected MAIL FROM:<address>");
        };
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (name.to_ascii_uppercase().as_str(), value.parse::<usize>()) {
                ("SIZE", Ok(size)) if size <= MAX_MAIL_BYTES => {}
                ("SIZE", Ok(_)) => return say("552 Message exceeds the maximum size"),
                ("SIZE", Err(_)) => return self.bad("501 SIZE is a number"),
                ("BODY", _) => {}
                _ => return self.bad("555 Parameter not recognized"),
            }
        }
        self.envelope = Some(Envelope::new(from.to_owned()));
        say("250 OK")
    }

    fn recipient(&mut self, argument: &str) -> Step {
        let Some(envelope) = &mut self.envelope else { return self.bad("503 MAIL first") };
        match path(argument, "TO:") {
            Some((to, _)) if !to.is_empty() => {
                if envelope.to.len() >= MAX_RECIPIENTS {
                    return say("452 Too many recipients");
                }
                envelope.to.push(to.to_owned());
                say("250 OK")
            }
            _ => self.bad("501 Expected RCPT TO:<address>"),
        }
    }

    fn data(&mut self, argument: &str) -> Step {
        if !argument.is_empty() {
            return self.bad("501 DATA takes no argument");
        }
        match self.envelope.take() {
            Some(envelope) if !envelope.to.is_empty() => {
                Step::Collect("354 End with a dot on a line by itself".into(), envelope)
            }
            Some(envelope) => {
                self.envelope = Some(envelope);
                self.bad("503 RCPT first")
            }
            None => self.bad("503 MAIL first"),
        }
    }
}

fn say(reply: &'static str) -> Step {
    Step::Say(reply.into())
}

/// Splits `FROM:<address> PARAMETERS` into the address and the parameters.
fn path<'a>(argument: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (word, rest) = argument.split_at_checked(keyword.len())?;
    if !word.eq_ignore_ascii_case(keyword) {
        return None;
    }
    rest.trim_start().strip_prefix('<')?.split_once('>')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes that a conversation gets; it goes on after `DATA` as if the mail had been sent.
    fn codes(commands: &[&str]) -> Vec<String> {
        let mut session = Session::default();
        commands
            .iter()
            .map(|command| match session.command(command.as_bytes()) {
                Step::Say(reply) | Step::Collect(reply, _) | Step::Close(reply) => reply[..3].to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_mail_goes_through_in_any_case() {
        let conversation =
            ["ehlo me", "mail FROM:<a@b> SIZE=10 BODY=8BITMIME", "RCPT to: <c@d>", "data", "QUIT"];
        assert_eq!(codes(&conversation), ["250", "250", "250", "354", "221"]);
    }

    #[test]
    fn commands_out_of_order_are_refused() {
        assert_eq!(codes(&["MAIL FROM:<a@b>"]), ["503"]);
        assert_eq!(codes(&["HELO me", "RCPT TO:<c@d>", "DATA"]), ["250", "503", "503"]);
        assert_eq!(codes(&["HELO me", "MAIL FROM:<>", "DATA"]), ["250", "250", "503"]);
        assert_eq!(codes(&["HELO me", "MAIL FROM:<>", "MAIL FROM:<>"]), ["250", "250", "503"]);
    }

    #[test]
    fn a_reset_forgets_the_mail() {
        let conversation = ["HELO me", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RSET", "DATA"];
        assert_eq!(codes(&conversation), ["250", "250", "250", "250", "503"]);
    }

    #[test]
    fn what_is_announced_as_too_large_is_refused_before_it_is_sent() {
        let announced = format!("MAIL FROM:<a@b> SIZE={}", MAX_MAIL_BYTES + 1);
        assert_eq!(codes(&["HELO me", &announced]), ["250", "552"]);
    }

    #[test]
    fn malformed_commands_have_their_own_codes() {
        let conversation = ["", "HELO", "HELO me", "MAIL TO:<a@b>", "MAIL FROM:<a@b> X=1", "STARTTLS"];
        assert_eq!(codes(&conversation), ["500", "501", "250", "501", "555", "502"]);
    }

    #[test]
    fn recipients_and_mistakes_are_limited() {
        let mut session = Session::default();
        session.command(b"HELO me");
        session.command(b"MAIL FROM:<a@b>");
        for _ in 0..MAX_RECIPIENTS {
            session.command(b"RCPT TO:<c@d>");
        }
        assert!(matches!(session.command(b"RCPT TO:<c@d>"), Step::Say(reply) if reply.starts_with("452")));
        for _ in 0..MAX_BAD_COMMANDS {
            assert!(matches!(session.command(b"NONSENSE"), Step::Say(_)));
        }
        assert!(matches!(session.command(b"NONSENSE"), Step::Close(_)));
    }
}
