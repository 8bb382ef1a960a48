"""The other tables and the plots: from figures to lines, with and without figures."""

import tempfile
import unittest
from pathlib import Path

import tables
import text
from plots import PLOTS, draw
from tests import criterion, figures, http_row, memory


class Tables(unittest.TestCase):
    def test_without_figures_each_says_so_and_nothing_else(self):
        for name, table in tables.TABLES.items():
            told = "\n".join(table(figures()))
            self.assertRegex(told, "(?i)not measured", name)
            self.assertNotRegex(
                told.replace("100 sessions", "").replace("RS256", "").replace("10⁶", "").replace("p99", ""), r"\d", name
            )

    def test_what_one_more_session_takes(self):
        told = figures(http={"rows": [], "memory": memory()})
        self.assertAlmostEqual(told.kb_per_session(), 90 * 1_024 / 99_900)
        self.assertIn("| one more cached session | KB | 0.92 |", tables.growth(told))

    def test_sessions_over_http_are_read_from_words(self):
        few, many = figures(http={"memory": memory()}).sessions()
        self.assertEqual((few["sessions"], few["readUs"], many["sessions"], many["readUs"]), (100, 10.0, 100_000, 12.0))

    def test_hits_are_sorted_by_number(self):
        cache = criterion(**{"cache/hit/2 thread(s)/100": [3.0], "cache/hit/1 thread(s)/10000": [2.0],
                             "cache/hit/1 thread(s)/100": [1.0], "cache/miss": [9.0]})  # fmt: skip
        self.assertEqual(figures(cache=cache).cache_hits(), {1: [(100, 1.0), (10_000, 2.0)], 2: [(100, 3.0)]})

    def test_codec_groups_come_in_their_order_and_with_a_ratio(self):
        codec = criterion(**{"convex_in/getUser/spans": [500.0], "convex_in/getUser/tree": [1_000.0],
                             "wire_in/createSession/spans": [300.0], "wire_in/createSession/tree": [1_200.0]})  # fmt: skip
        self.assertEqual(
            list(tables.codec(figures(codec=codec)))[2:],
            [
                "| Auth.js wire, body in | `createSession` | 300 ns | 1.20 us | 0.25 |",
                "| Convex call, arguments | `getUser` | 500 ns | 1.00 us | 0.50 |",
            ],
        )

    def test_two_machines_are_told_apart(self):
        both = figures(http={}, auth={})
        both.files["auth"]["machine"]["processor"] = "Another chip"
        told = "\n".join(tables.machine(both))
        self.assertIn("`http`: A chip", told)
        self.assertIn("`auth`: Another chip", told)

    def test_a_pipe_does_not_end_a_cell(self):
        self.assertEqual(text.line(["a|b", 1]), "| a\\|b | 1 |")

    def test_times_have_a_unit_that_fits(self):
        told = [text.time(ns) for ns in [3.14159, 812.4, 1_234, 5_000_000, 2e9, None]]
        self.assertEqual(told, ["3.14 ns", "812 ns", "1.23 us", "5.00 ms", "2.00 s", "not measured"])


class Plots(unittest.TestCase):
    def test_the_same_figures_are_the_same_file_and_none_is_no_file(self):
        told = figures(http={"rows": [http_row("cached-session", 1.3)], "memory": memory()})
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.assertEqual(sorted(draw(told, folder)), ["http-cpu", "memory", "sessions"])
            before = {path.name: path.read_bytes() for path in folder.iterdir()}
            draw(told, folder)
            self.assertEqual({path.name: path.read_bytes() for path in folder.iterdir()}, before)
            self.assertNotIn(b"dc:date", before["http-cpu.svg"])
            self.assertEqual(draw(figures(), folder), [])
            self.assertEqual(list(folder.iterdir()), [])

    def test_each_is_asked_for_by_the_measurements_it_needs(self):
        for plot in PLOTS.values():
            self.assertTrue(plot.needs and plot.title)


if __name__ == "__main__":
    unittest.main()
