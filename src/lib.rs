//! One binary in front of a Convex deployment, for apps that sign in with Auth.js.

pub mod act;
pub mod adapter;
pub mod admin;
pub mod classify;
pub mod cli;
pub mod config;
pub mod dev;
pub mod launch;
pub mod permit;
pub mod pipeline;
pub mod server;
pub mod session;
pub mod token;
pub mod upstream;

pub mod body;
pub mod clock;
pub mod error;
pub mod keys;
pub mod secret;
pub mod telemetry;
