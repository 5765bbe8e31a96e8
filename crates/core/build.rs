//! Compiles `proto/whimbrel/v1/*.proto` without a protoc on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}/whimbrel");
    let descriptors = protox::compile(["whimbrel/v1/queue.proto"], [root])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
