//! `charge` against stripe-mock, which checks every request against Stripe's own OpenAPI description and which none of us
//! wrote. It is stateless: its payment intents are fixtures, whatever was asked for.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use events::InventoryReserved;
use jetlag::{Environment, Event, Payload};
use payment::{Gateway, charge};

struct Mock(Child);

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "needs the program stripe-mock, named by STRIPE_MOCK; .ci/run installs it and runs this"]
async fn stripes_own_description_accepts_our_request() {
    let program = std::env::var("STRIPE_MOCK").expect("STRIPE_MOCK names the program");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let child = Command::new(program).args(["-http-addr", &address]).stdout(Stdio::null()).spawn().unwrap();
    let _mock = Mock(child);
    let listening = async {
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), listening).await.expect("stripe-mock listens");

    let url = format!("http://{address}");
    let mut env =
        Environment::of([("PAYMENT_GATEWAY_URL", url.as_str()), ("PAYMENT_GATEWAY_KEY", "sk_test_123")]);
    let gateway = Gateway::from_env(&mut env);
    let failure = charge(&gateway, Event::of(InventoryReserved::example())).await;
    // Its fixture is an intent that still wants a payment method, which is no charge: what counts is that the request
    // was understood, and that an undecided answer is not taken for a charge.
    match failure {
        Ok(_) => {}
        Err(failure) => {
            let text = failure.to_string();
            assert!(text.contains("requires_payment_method"), "stripe-mock refused the request: {text}");
        }
    }
}
