//! The quickstart's folder and flags. The whole of it runs in `.ci/smoke`.

use super::bench::Bench;

#[test]
fn a_used_folder_is_left_alone() {
    let bench = Bench::new();
    bench.write("taken/thesis.txt", "precious");
    bench.refuse(1, &[("quickstart --out taken", &["taken"])]);
    assert_eq!(bench.read_text("taken/thesis.txt"), "precious");
    assert!(!bench.exists("taken/digits"));
}

#[test]
fn the_number_of_seeds_is_checked() {
    let seeds: &[&str] = &["--seeds"];
    Bench::new().refuse(2, &[("quickstart --seeds 0", seeds), ("quickstart --quick --seeds 2", seeds)]);
}
