//! Taking another way than sign, record, durable, release does not compile.

#[test]
fn another_way_out_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
