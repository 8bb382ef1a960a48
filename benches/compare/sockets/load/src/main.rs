//! What stands on both sides of a relay whose cost is measured: a deployment, its clients, and a plain relay beside it.
//!
//! ```text
//! sockets-load upstream LISTEN                a deployment that speaks the sync protocol
//! sockets-load relay LISTEN UPSTREAM          bytes from one TCP connection to another, nothing else
//! sockets-load load ADDRESS [--control ADDRESS] [--header 'Name: value'] …
//!                                             clients; told what to do by lines on standard input
//! ```
//!
//! `upstream` and `relay` print `listening ADDRESS` once they do; with port 0 the system chooses. What `load` can be told
//! stands in [`load`]. `{n}` in a header is replaced by the number of the socket.
//!
//! None of the three checks what a real end would have to: it is enough that a wrong relay does not go unnoticed. So
//! every client checks each version that it is shown and each answer's number, and the deployment each base version.

mod frame;
mod http;
mod load;
mod message;
mod relay;
mod upstream;

use std::{env, io, process::ExitCode};

use tokio::runtime::Builder;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("sockets-load: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> io::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        // One thread each for the two ends: they are not measured, and must leave the other processors alone.
        ["upstream", listen] => Builder::new_current_thread().enable_all().build()?.block_on(upstream::serve(listen)),
        ["load", address, options @ ..] => {
            let target = load::Target::parse(address, options)?;
            Builder::new_current_thread().enable_all().build()?.block_on(load::obey(target))
        }
        // As many threads as processors, as the proxy has: a wake-up costs the same in both.
        ["relay", listen, upstream] => {
            Builder::new_multi_thread().enable_all().build()?.block_on(relay::serve(listen, upstream))
        }
        _ => Err(io::Error::other(
            "usage: sockets-load upstream LISTEN | relay LISTEN UPSTREAM | load ADDRESS [options]",
        )),
    }
}
