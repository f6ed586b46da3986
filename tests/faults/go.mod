module instancepool.dev/tests/faults

go 1.26.0
