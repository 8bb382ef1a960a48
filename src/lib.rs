//! One binary in front of a Convex deployment, for apps that sign in with Auth.js.

pub mod adapter;
pub mod clock;
pub mod config;
pub mod dev;
pub mod keys;
pub mod secret;
pub mod session;
pub mod token;
