//! Strategies that call forbidden imports. If the host returns an error, the strategy returns that error; if it returns
//! anything else, the strategy returns `internal` with the result.

use std::fmt::Debug;

use cartwright_plugin::http;
use cartwright_plugin::strategy::{PlanRequest, PlanResult};
use cartwright_plugin::types::{CallError, Outcome, Refusal};
use cartwright_plugin::{blobs, internal, message, order_book, outcomes, secrets, timer};

pub fn another_host(_: PlanRequest) -> Result<PlanResult, CallError> {
    answered(send("https://example.com/")?)
}

pub fn this_machine(_: PlanRequest) -> Result<PlanResult, CallError> {
    answered(send("http://127.0.0.1/")?)
}

pub fn undeclared_secret(_: PlanRequest) -> Result<PlanResult, CallError> {
    answered(secrets::digest("not-mine", "hmac-sha256", b"message")?)
}

pub fn order_book(_: PlanRequest) -> Result<PlanResult, CallError> {
    answered(order_book::find("1:1:1")?)
}

pub fn blob(_: PlanRequest) -> Result<PlanResult, CallError> {
    answered(blobs::read(&"0".repeat(64))?)
}

pub fn emit(_: PlanRequest) -> Result<PlanResult, CallError> {
    answered(outcomes::emit(&Outcome::Note(message("hello", "Hello.", &[])))?)
}

pub fn sleep(_: PlanRequest) -> Result<PlanResult, CallError> {
    answered(timer::sleep(1)?)
}

pub fn files(_: PlanRequest) -> Result<PlanResult, CallError> {
    of_the_system(std::fs::read("/etc/passwd").map(|bytes| bytes.len()))
}

pub fn environment(_: PlanRequest) -> Result<PlanResult, CallError> {
    let found: Vec<_> = std::env::vars().map(|(name, _)| name).chain(std::env::args()).collect();
    if found.is_empty() { Err(denied("the environment is empty")) } else { answered(found) }
}

pub fn socket(_: PlanRequest) -> Result<PlanResult, CallError> {
    of_the_system(std::net::TcpStream::connect("127.0.0.1:80"))
}

fn send(url: &str) -> Result<http::HttpResponse, CallError> {
    http::HttpRequest::get(url).send()
}

fn of_the_system(result: std::io::Result<impl Debug>) -> Result<PlanResult, CallError> {
    match result {
        Ok(answer) => answered(answer),
        Err(error) => Err(denied(&error.to_string())),
    }
}

fn denied(text: &str) -> CallError {
    CallError::Denied(Refusal { what: "capability:system".to_owned(), text: text.to_owned() })
}

fn answered(answer: impl Debug) -> Result<PlanResult, CallError> {
    Err(internal(format!("the host answered: {answer:?}")))
}
