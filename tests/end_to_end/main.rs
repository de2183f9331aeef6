//! The real application: five functions in processes of their own, over a real nats-server, with a payment gateway and a
//! receiver of notifications over real HTTP.

mod bad_input;
mod collector;
mod faults;
mod interop;
mod observed;
mod outage;
mod permissions;
mod redrive;
mod replica;
mod replicas;
mod rescue;
mod scaling;
mod shop;
mod traces;
