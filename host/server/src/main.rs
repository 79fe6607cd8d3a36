//! The command `cartwright`.

fn main() -> std::process::ExitCode {
    cartwright_server::main()
}
