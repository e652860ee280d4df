//! Everything a developer runs.

mod r#gen;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("gen") => r#gen::run(arguments.next().as_deref() == Some("--check")),
        _ => anyhow::bail!("usage: cargo xtask gen [--check]"),
    }
}
