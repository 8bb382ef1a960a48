"""What is kept of a measurement, and of the machine."""

import json
import tempfile
import unittest
from pathlib import Path

import machine
import measure
from figures import Figures
from tests import file


def wrote(home, name, median, old="new"):
    """As criterion does it."""
    folder = home / name.replace("/", "_") / old
    folder.mkdir(parents=True)
    (folder / "estimates.json").write_text(json.dumps({"median": {"point_estimate": median}, "mean": {"point_estimate": 0}}))
    (folder / "benchmark.json").write_text(json.dumps({"full_id": name, "throughput": {"Elements": 1}}))


class Criterion(unittest.TestCase):
    def test_the_newest_medians_are_taken_by_their_full_names(self):
        with tempfile.TemporaryDirectory() as home:
            wrote(Path(home), "sign RS256/token, new", 212_345.678)
            wrote(Path(home), "sign RS256/token, old", 1.0, "base")
            found = measure.medians_in(Path(home))
        self.assertEqual(found, {"sign RS256/token, new": {"medianNs": 212_350.0, "throughput": {"Elements": 1}}})

    def test_runs_are_put_side_by_side(self):
        runs = [
            {name: {"medianNs": ns, "throughput": None} for name, ns in run.items()}
            for run in [{"a": 1.0, "b": 9.0}, {"a": 2.0}]
        ]
        told = [(row["id"], row["mediansNs"]) for row in measure.merged(runs)]
        self.assertEqual(told, [("a", [1.0, 2.0]), ("b", [9.0])])

    def test_a_bench_that_is_not_there_is_no_failure(self):
        with self.assertRaises(measure.NotThere):
            measure.must_be_there(measure.ROOT / "benches" / "of nothing.rs")

    def test_what_is_no_json_is_a_failure(self):
        with self.assertRaises(measure.Failed):
            measure.json_of(["echo", "a table"], None)
        with self.assertRaises(measure.Failed):
            measure.json_of(["false"], None)


class Machine(unittest.TestCase):
    def test_is_told_from_what_the_kernel_says(self):
        cpu = "processor\t: 0\nmodel name\t: A chip @ 3 GHz\nflags\t\t: fpu sha_ni avx512ifma_not\nprocessor\t: 1\n"
        self.assertEqual(machine.processor_of(cpu), "A chip @ 3 GHz")
        self.assertEqual(machine.flags_of(cpu), ["sha_ni"])
        self.assertEqual(machine.memory_gb_of("MemTotal:        8388608 kB\n"), 8.0)

    def test_the_kernel_is_told_without_what_its_builder_added(self):
        for release, told in [("6.1.0-18-amd64", "6.1.0"), ("6.18.44-builder", "6.18.44"), ("odd", "odd")]:
            self.assertEqual(machine.kernel_of(release), told)


class Files(unittest.TestCase):
    def test_are_known_by_their_names_and_others_are_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "http.json").write_text(json.dumps(file("http", {"rows": []}, quick=True)))
            Path(folder, "of-somebody-else.json").write_text("{}")
            figures = Figures.read(Path(folder))
        self.assertEqual(list(figures.files), ["http"])
        self.assertTrue(figures.is_quick("http"))
        self.assertFalse(figures.is_quick("auth"))


if __name__ == "__main__":
    unittest.main()
