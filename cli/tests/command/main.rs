//! The command and what it is made of, with real brokers, processes and files. One program for all of it, so that it is linked
//! once and what waits in one file waits beside what waits in another.

#![cfg(test)]

mod broker;
mod check;
mod doctor;
mod invoke;
mod letters;
mod lint;
mod manifests;
mod objects;
mod operations;
mod permissions;
mod place;
mod provision;
mod retail;
mod shop;
mod trail;
mod up;
