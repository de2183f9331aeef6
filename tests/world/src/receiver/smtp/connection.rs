//! One mail connection: reads lines, asks the session what they mean, and answers.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::{
    envelope::Envelope,
    line::{Line, read_line},
    session::{Session, Step},
};
use crate::receiver::{
    inbox::{Channel, Content},
    post::{Post, Rejection},
};

/// The longest command line, in bytes: RFC 5321 asks for 512 and leaves room for extensions.
const MAX_COMMAND_BYTES: usize = 1024;
/// The longest line of a mail, in bytes (RFC 5321 section 4.5.3.1.6).
const MAX_TEXT_LINE_BYTES: usize = 1000;
/// How long a connection may be idle between commands (RFC 5321 section 4.5.3.2.7).
const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a sender may take over one mail.
const MAIL_TIMEOUT: Duration = Duration::from_secs(600);

const GREETING: &str = "220 receiver ESMTP";
const OUT_OF_SERVICE: &str = "421 Out of service";
const TOO_SLOW: &str = "421 Timed out";

/// Talks to one sender until either side has had enough.
pub(crate) async fn converse(stream: TcpStream, post: &Post) -> io::Result<()> {
    // Every reply is waited for.
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    if post.switches().outage {
        return reply(&mut writer, OUT_OF_SERVICE).await;
    }
    reply(&mut writer, GREETING).await?;
    let mut session = Session::default();
    loop {
        let Ok(line) = timeout(COMMAND_TIMEOUT, read_line(&mut reader, MAX_COMMAND_BYTES)).await else {
            return reply(&mut writer, TOO_SLOW).await;
        };
        let Some(line) = line? else { return Ok(()) };
        if post.switches().outage {
            return reply(&mut writer, OUT_OF_SERVICE).await;
        }
        let step = match line {
            Line::Proper(command) | Line::Bare(command) => session.command(&command),
            Line::TooLong => session.bad("500 Line too long"),
        };
        match step {
            Step::Say(text) => reply(&mut writer, &text).await?,
            Step::Close(text) => return reply(&mut writer, &text).await,
            Step::Collect(text, mut envelope) => {
                reply(&mut writer, &text).await?;
                match timeout(MAIL_TIMEOUT, collect(&mut reader, &mut envelope)).await {
                    Ok(collected) => collected?,
                    Err(_) => return reply(&mut writer, TOO_SLOW).await,
                }
                if post.switches().outage {
                    return reply(&mut writer, OUT_OF_SERVICE).await;
                }
                let text = deliver(post, envelope).await;
                reply(&mut writer, text).await?;
            }
        }
    }
}

/// Reads the lines of a mail up to the dot.
async fn collect(reader: &mut BufReader<impl AsyncRead + Unpin>, envelope: &mut Envelope) -> io::Result<()> {
    while let Some(line) = read_line(reader, MAX_TEXT_LINE_BYTES).await? {
        if envelope.push(line) {
            return Ok(());
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Counts a mail that has come to its end, and returns the reply.
async fn deliver(post: &Post, envelope: Envelope) -> &'static str {
    let id = match envelope.message_id() {
        Ok(id) => id,
        Err(fault) => return fault.reply(),
    };
    let content = Content::of(Some(envelope.from.clone()), envelope.to.clone(), envelope.data());
    let delivered = post.deliver(&id, Channel::Smtp, content);
    post.delay().await;
    match delivered {
        Ok(1) => "250 OK",
        Ok(_) => "250 OK, again",
        Err(Rejection::Id) => "554 The Message-ID is too long",
        Err(Rejection::Full) => "452 The inbox is full",
        Err(Rejection::Journal(_)) => "451 The mail could not be written down",
    }
}

async fn reply(writer: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    // One write, so that a reply is one packet.
    writer.write_all(format!("{text}\r\n").as_bytes()).await
}
