"""V1: a parameter's help is what the workflow's docstring says of it, in whichever style it is written."""

import pytest

from promissory.executor.cli.docstrings import described

STYLES = {
    "google": """Add up.

        Args:
            alpha (int): the first,
                at least one.
            *beta: the second.

        Returns:
            gamma: the sum.
        """,
    "numpy": """Add up.

        Parameters
        ----------
        alpha : int
            the first,
            at least one.
        *beta
            the second.

        Returns
        -------
        gamma : int
            the sum.
        """,
    "fields": """Add up.

        :param int alpha: the first,
            at least one.
        :type alpha: int
        :param beta: the second.
        :returns: the sum.
        :raises ValueError: never.
        """,
    "epytext": """Add up.

        @param alpha: the first,
            at least one.
        @type alpha: int
        @param beta: the second.
        @return: the sum.
        @rtype: int
        """,
}


@pytest.mark.parametrize("style", STYLES)
def test_V1_a_parameter_has_its_words_from_the_docstring(style):
    assert described(STYLES[style]) == ("Add up.", {"alpha": "the first, at least one.", "beta": "the second."})


def test_V1_parameters_that_share_their_words_have_them_both():
    text = "Parameters\n----------\nalpha, beta : int\n    Both.\n"
    assert described(text) == ("", {"alpha": "Both.", "beta": "Both."})


def test_V1_prose_with_colons_stays():
    text = "Watch out: this one is slow.\n\nAn example: none.\nSee https://example.org: it tells more."
    assert described(text) == (text, {})
