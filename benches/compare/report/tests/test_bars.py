"""The bars: what is kept, what is missed, and that nothing is told which was not measured."""

import unittest

import bars
from figures import Ratio
from tests import criterion, figures, http_row, memory


def cells(figures, work):
    [bar] = [bar for bar in bars.BARS if bar.work.startswith(work)]
    return [cell.strip() for cell in bars.row(bar, figures).strip("|").split("|")]


def measured(figures, work):
    return cells(figures, work)[4]


def verdict(figures, work):
    return cells(figures, work)[5]


class Verdicts(unittest.TestCase):
    def test_a_bar_is_kept_up_to_its_value(self):
        for value, told in [(1.2, bars.STRETCH), (1.201, bars.KEPT), (1.4, bars.KEPT), (1.4001, bars.MISSED)]:
            self.assertEqual(bars.Part(Ratio(value), 1.4, 1.2).verdict(), told, value)

    def test_without_a_stretch_none_is_reached(self):
        self.assertEqual(bars.Part(1.0, 26, unit="KB").verdict(), bars.KEPT)

    def test_one_missed_part_is_named(self):
        parts = [bars.Part(1.3, 1.25, 1.15, name="EdDSA"), bars.Part(1.1, 1.25, 1.15, name="ES256")]
        self.assertEqual(bars.verdict(parts), "**MISSED** (EdDSA)")

    def test_the_stretch_is_reached_when_all_reach_it(self):
        reached, kept = bars.Part(1.1, 1.25, 1.15, name="a"), bars.Part(1.2, 1.25, 1.15, name="b")
        self.assertEqual(bars.verdict([reached, reached]), "stretch reached")
        self.assertEqual(bars.verdict([reached, kept]), "kept (stretch reached: a)")

    def test_a_part_that_is_missing_is_told(self):
        parts = [bars.Part(4.0, 50, name="/livez"), bars.Part(None, 50, name="a session")]
        self.assertEqual(bars.verdict(parts), "kept (not measured: a session)")

    def test_a_quick_run_decides_nothing(self):
        quick = figures(quick=True, http={"rows": [http_row("cached-token", 9.9)]})
        self.assertEqual(verdict(quick, "cached token"), bars.QUICK)


class Rows(unittest.TestCase):
    def test_every_row_is_there_without_any_figure(self):
        lines = list(bars.table(figures()))
        self.assertEqual(len(lines), 2 + 13)
        for line in lines[2:]:
            self.assertEqual(line.count("not measured"), 2, line)

    def test_of_two_modes_the_worse_counts(self):
        both = figures(http={"rows": [http_row("cached-session", 1.3), http_row("cached-session", 1.45, "pinned")]})
        _, _, _, _, ratio, told, origin = cells(both, "cached session read")
        self.assertEqual((ratio, told), ("1.450 (0.900 to 1.100)", "**MISSED**"))
        self.assertIn("pinned", origin)

    def test_a_ratio_is_the_median_of_the_ratios_of_each_run(self):
        signing = criterion(**{
            "sign RS256/token, new": [103.0, 300.0, 101.0],
            "sign RS256/signature by aws-lc-rs alone": [100.0, 200.0, 100.0],
        })  # fmt: skip
        self.assertEqual(measured(figures(signing=signing), "RS256 signature"), "1.030 (1.010 to 1.500)")

    def test_a_codec_with_one_side_has_no_ratio(self):
        only = figures(codec=criterion(**{"wire_in/createSession/spans": [4.0]}))
        self.assertEqual(measured(only, "codec"), "not measured")

    def test_of_known_paths_the_slowest_and_the_new_one_apart(self):
        path = criterion(**{"path/plain": [30.0], "path/nested": [40.0], "path/never seen": [200.0], "policy/plain": [900.0]})
        told = figures(path=path)
        self.assertEqual(measured(told, "function path"), "seen lately, the slowest 40.0 ns; never seen 200 ns")
        self.assertEqual(verdict(told, "function path"), "**MISSED** (never seen)")

    def test_sockets_count_with_their_session_and_without(self):
        rows = [
            {"what": "Rss, idle", "unit": "KB/socket", "values": {"proxy": 5.7, "signed-in": 8.3}},
            {"what": "Rss, after 30 KB each way", "unit": "KB/socket", "values": {"proxy": 4.7, "signed-in": 8.4}},
        ]
        self.assertEqual(verdict(figures(sockets={"rows": rows}), "idle relayed"), "**MISSED** (idle, with its session)")

    def test_sessions_have_two_bars(self):
        told = figures(http={"rows": [], "memory": memory()})
        self.assertEqual(measured(told, "100,000"), "110 MB; read 1.200")
        self.assertEqual(verdict(told, "100,000"), "kept")


if __name__ == "__main__":
    unittest.main()
