//! The broker's side of the conversation with controllers, against a controller that says what a test wants.

mod fake_controller;
mod requests;
mod session;
mod watch;
