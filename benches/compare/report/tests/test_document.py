"""The document: generated parts are replaced, all else stays, and mistakes are told."""

import unittest

from document import filled

DOCUMENT = """# Title

By hand: <!-- not alone on its line -->.

<!-- bars -->
what stood here before
<!-- /bars -->

By hand.

<!-- plot-tokens -->
<!-- /plot-tokens -->
"""
PARTS = {"bars": ["| a |", "| --- |"], "plot-tokens": ["![Tokens](performance/tokens.svg)"]}


class Parts(unittest.TestCase):
    def test_are_put_in_and_nothing_else_is_touched(self):
        self.assertEqual(
            filled(DOCUMENT, PARTS),
            DOCUMENT.replace("what stood here before", "\n| a |\n| --- |\n").replace(
                "<!-- plot-tokens -->\n", "<!-- plot-tokens -->\n\n![Tokens](performance/tokens.svg)\n\n"
            ),
        )

    def test_twice_is_as_once(self):
        once = filled(DOCUMENT, PARTS)
        self.assertEqual(filled(once, PARTS), once)

    def test_are_not_read_as_anything_but_text(self):
        self.assertIn(r"\1 \g<name>", filled(DOCUMENT, {**PARTS, "bars": [r"\1 \g<name>"]}))


class Mistakes(unittest.TestCase):
    def assert_told(self, document, parts, told):
        with self.assertRaisesRegex(ValueError, told):
            filled(document, parts)

    def test_a_part_without_a_place(self):
        self.assert_told(DOCUMENT, {**PARTS, "http": []}, "`http` has no place")

    def test_a_place_without_a_part(self):
        self.assert_told(DOCUMENT, {"bars": []}, "`plot-tokens` is nothing that is generated")

    def test_a_place_that_does_not_end(self):
        self.assert_told(DOCUMENT.replace("<!-- /bars -->", ""), PARTS, "`bars` does not end")

    def test_a_place_that_comes_twice(self):
        self.assert_told(DOCUMENT + DOCUMENT, PARTS, "`bars` comes twice")


if __name__ == "__main__":
    unittest.main()
