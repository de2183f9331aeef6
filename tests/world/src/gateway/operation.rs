//! What a request asks for, and what carrying it out does to a payment intent.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    decline::{DeclineCode, DeclineRules},
    execution::{PaymentIntent, Status},
    ledger::Ledger,
    refusal::Refusal,
};

/// A valid request that changes something.
#[derive(Debug)]
pub(crate) enum Operation {
    Create(Creation),
    Confirm {
        intent: String,
        /// Replaces the card of the intent, as after a decline.
        payment_method: Option<String>,
    },
}

/// The parameters of a new payment intent.
#[derive(Debug)]
pub(crate) struct Creation {
    pub(crate) amount_minor: u64,
    pub(crate) currency: String,
    pub(crate) confirm: bool,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) payment_method: String,
}

/// The intent after the operation, and the bank's reason if it said no.
pub(crate) type Outcome = (PaymentIntent, Option<DeclineCode>);

impl Operation {
    /// Works the operation out against the ledger, which it does not change.
    pub(crate) fn outcome(
        self,
        ledger: &Ledger,
        rules: &DeclineRules,
        now_s: u64,
    ) -> Result<Outcome, Refusal> {
        match self {
            Operation::Create(creation) => {
                if ledger.is_full() {
                    return Err(Refusal::Full);
                }
                let confirm = creation.confirm;
                let intent = creation.into_intent(now_s);
                Ok(if confirm { charge(intent, rules) } else { (intent, None) })
            }
            Operation::Confirm { intent: id, payment_method } => {
                let last = ledger.last_execution(&id).ok_or(Refusal::NoSuchIntent(id))?;
                let mut intent = last.intent.clone();
                if intent.status == Status::Succeeded {
                    return Err(Refusal::AlreadySucceeded(Box::new(intent)));
                }
                if let Some(payment_method) = payment_method {
                    intent.payment_method = payment_method;
                }
                Ok(charge(intent, rules))
            }
        }
    }
}

impl Creation {
    fn into_intent(self, now_s: u64) -> PaymentIntent {
        PaymentIntent {
            id: new_id("pi"),
            amount_minor: self.amount_minor,
            currency: self.currency,
            status: Status::RequiresConfirmation,
            created_s: now_s,
            description: self.description,
            metadata: self.metadata,
            payment_method: self.payment_method,
            latest_charge: None,
        }
    }
}

fn charge(mut intent: PaymentIntent, rules: &DeclineRules) -> Outcome {
    let decline = rules.verdict(intent.amount_minor, &intent.payment_method);
    intent.status = if decline.is_some() { Status::RequiresPaymentMethod } else { Status::Succeeded };
    intent.latest_charge = Some(new_id("ch"));
    (intent, decline)
}

fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::new_v4().simple())
}
