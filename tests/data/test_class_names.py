from __future__ import annotations

import pytest

from detector.data.sample import resolve
from detector.errors import AnnotationError


@pytest.mark.parametrize("name", ["with_mask", "With Mask", "WITH-MASK", "mask", "face_mask", "Masked", " with  mask "])
def test_the_usual_names_for_a_mask_are_known(name: str) -> None:
    assert resolve({name: 1}) == ({name: "with_mask"}, [])


@pytest.mark.parametrize(
    "name",
    ["without_mask", "NoMask", "no mask", "face", "mask_weared_incorrect", "with_incorrect_mask", "Incorrect-Mask"],
)
def test_no_mask_and_a_mask_worn_wrongly_are_the_same_class(name: str) -> None:
    assert resolve({name: 1}) == ({name: "without_mask"}, [])


def test_an_override_comes_before_the_default() -> None:
    assert resolve({"face": 3, "scarf": 1}, {"Face": "ignore", "scarf": "With-Mask"})[0] == {
        "face": "ignore",
        "scarf": "with_mask",
    }


def test_overrides_that_match_nothing_are_returned() -> None:
    assert resolve({"face": 3}, {"scraf": "ignore", "face": "without_mask"})[1] == ["scraf"]


def test_unknown_names_are_listed_with_their_counts() -> None:
    with pytest.raises(AnnotationError, match=r"'helmet' \(7 boxes\), 'hat' \(2 boxes\)|'hat' \(2 .*'helmet' \(7"):
        resolve({"helmet": 7, "hat": 2, "face": 1})


def test_a_message_about_many_unknown_names_stays_short() -> None:
    with pytest.raises(AnnotationError, match="and 980 more") as caught:
        resolve({f"{index}{'x' * 1000}": 1 for index in range(1000)})
    assert len(str(caught.value)) < 2000


def test_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        AnnotationError, match="scarf=masked: CLASS must be with_mask, without_mask, ignore or background"
    ):
        resolve({"face": 1}, {"scarf": "masked"})
