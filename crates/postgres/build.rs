//! The migrations are compiled in: cargo must look at them, too.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
