"""The three sets share no image, hold each class by its share, and are the same for the same seed."""

from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from snnkit.data import DATASETS, DataChoice, DataError, DataSet, Images, Splits, split_dataset
from snnkit.data.resizing import resize_dataset
from snnkit.data.stratification import stratified_order


def numbered(count: int, *, first: int = 0, classes: int = 10, side: int = 32) -> Images:
    """Images that carry their own number in their first pixel, so that a split can be traced back."""
    images = np.zeros((count, 3, side, side), np.uint8)
    numbers = np.arange(first, first + count)
    images[:, 0, 0, 0], images[:, 1, 0, 0] = numbers % 256, numbers // 256
    return Images(images, numbers % classes)


DATA = DataSet(numbered(1000), numbered(200, first=1000), tuple("abcdefghij"))


def numbers(part: Images) -> list[int]:
    return [int(image[0, 0, 0]) + 256 * int(image[1, 0, 0]) for image in part.rows()]


def parts(found: Splits) -> tuple[list[int], list[int], list[int]]:
    return numbers(found.train), numbers(found.validation), numbers(found.test)


def cut(seed: int = 0, **choice: object) -> Splits:
    return split_dataset(DATA, DataChoice.model_validate({"name": "cifar10"} | choice), seed)


def test_parts_share_no_image_and_lose_none() -> None:
    train, validation, test = parts(cut())
    assert sorted(train + validation) == list(range(1000))
    assert test == list(range(1000, 1200))


def test_subset_counts_training_and_validation_together() -> None:
    found = cut(subset=500, validation=0.1)
    assert (len(found.train), len(found.validation), len(found.test)) == (450, 50, 200)
    assert len({*numbers(found.train), *numbers(found.validation)}) == 500


def test_same_seed_same_parts_other_seed_others() -> None:
    assert parts(cut(seed=3)) == parts(cut(seed=3))
    assert parts(cut(seed=3))[0] != parts(cut(seed=4))[0]


def test_every_class_has_its_share_in_every_part() -> None:
    found = cut(subset=300, validation=50)
    assert set(Counter(found.train.labels.tolist()).values()) == {25}
    assert set(Counter(found.validation.labels.tolist()).values()) == {5}


def test_uneven_classes_keep_their_shares_to_within_one_image() -> None:
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    order = stratified_order(labels, seed=0)
    assert sorted(order) == list(range(1000))
    for length in (10, 57, 100, 500):
        counts = np.bincount(labels[order[:length]], minlength=3)
        assert np.abs(counts - length * np.array([0.7, 0.2, 0.1])).max() <= 1


def test_test_set_may_be_cut_by_class_and_touches_no_other_part() -> None:
    whole, cut_down = cut(), cut(test=50)
    assert set(Counter(cut_down.test.labels.tolist()).values()) == {5}
    assert set(numbers(cut_down.test)) < set(numbers(whole.test))
    assert parts(whole)[:2] == parts(cut_down)[:2]


def test_validation_of_a_number_is_the_same_for_every_subset() -> None:
    assert parts(cut(subset=200, validation=40))[1] == parts(cut(subset=900, validation=40))[1]


def test_mean_and_std_are_those_of_the_training_part() -> None:
    found = cut(validation=300)
    pixels = found.train.rows() / 255
    assert found.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)))
    assert found.std[0] == pytest.approx(pixels[:, 0].std())
    assert found.std[2] == 1 / 255  # a channel without variance does not divide by zero


def test_parts_are_views_and_copy_no_image() -> None:
    found = cut(subset=500, test=50)
    assert all(part.array is DATA.train.array for part in (found.train, found.validation))
    assert found.test.array is DATA.test.array
    assert found.train.take(np.array([7, 3])).array is DATA.train.array


def test_view_reads_the_rows_that_are_asked_for() -> None:
    view = numbered(20).take(np.array([9, 4, 17])).take(np.array([2, 0]))
    assert (numbers(view), view.labels.tolist()) == ([17, 9], [7, 9])
    rows = view.rows(np.array([1, 1, 0]))
    assert rows[:, 0, 0, 0].tolist() == [9, 9, 17]
    rows[:] = 0
    assert numbers(view) == [17, 9]  # a copy


def test_moments_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cut()
    monkeypatch.setattr("snnkit.data.splitting.IMAGES_PER_CHUNK", 7)
    assert (cut().mean, cut().std) == (whole.mean, whole.std)


def one_image(images: np.ndarray) -> DataSet:
    part = Images(images, np.array([0]))
    return DataSet(part, part, ("thing",))


def test_smaller_resolution_takes_means_of_blocks() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32), np.uint8)
    found = resize_dataset(one_image(images), 16)
    blocks = images.reshape(1, 3, 16, 2, 16, 2).mean(axis=(3, 5))
    assert np.abs(found.test.array - blocks).max() <= 1  # rounded along rows, then along columns
    assert found.train.shape == DataChoice(name="cifar10", resolution=16).shape


def test_other_resolutions_keep_a_flat_image_flat() -> None:
    found = resize_dataset(one_image(np.full((1, 3, 32, 32), 77, np.uint8)), 48)
    assert found.test.array.shape == (1, 3, 48, 48)
    assert (found.test.array == 77).all()


def test_description_counts_what_is_used() -> None:
    expected = "cifar10: 450 train, 50 validation, 200 test images, 3x32x32, 10 classes"
    assert cut(subset=500).describe() == expected


def test_asking_for_too_many_images_is_refused() -> None:
    with pytest.raises(DataError, match="subset is 2,000; this copy of cifar10 has 1,000 training images"):
        cut(subset=2000)
    with pytest.raises(DataError, match="test is 500; this copy of cifar10 has 200 test images"):
        cut(test=500)
    with pytest.raises(DataError, match="validation takes 5,000 of 1,000 images"):
        cut(validation=5000)


def digits(part: Images) -> list[int]:
    """The label that each image had at first: the last digit of its number."""
    return [number % 10 for number in numbers(part)]


def test_a_number_takes_the_first_classes() -> None:
    found = cut(classes=3)
    assert set(digits(found.train)) == set(digits(found.test)) == {0, 1, 2}
    assert digits(found.train) == found.train.labels.tolist()
    assert (len(found.train) + len(found.validation), len(found.test)) == (300, 60)
    assert found.classes == ("a", "b", "c")


def test_named_classes_are_labelled_in_the_order_given() -> None:
    found = cut(classes=["h", "b"])
    assert {tuple(pair) for pair in zip(digits(found.validation), found.validation.labels, strict=True)} == {
        (7, 0),
        (1, 1),
    }
    assert found.classes == ("h", "b")
    assert found.train.array is DATA.train.array


def test_counts_refer_to_the_chosen_classes() -> None:
    found = cut(classes=4, subset=100, validation=20, test=40)
    assert set(Counter(found.train.labels.tolist()).values()) == {20}
    assert set(Counter(found.validation.labels.tolist()).values()) == {5}
    assert set(Counter(found.test.labels.tolist()).values()) == {10}
    with pytest.raises(
        DataError, match=r"subset is 500; this copy of cifar10 has 400 training images of these 4 classes"
    ):
        cut(classes=4, subset=500)
    with pytest.raises(DataError, match=r"test is 90; this copy of cifar10 has 80 test images of these 4 classes"):
        cut(classes=4, test=90)


def test_all_classes_by_name_are_the_whole() -> None:
    assert parts(cut(classes=list("abcdefghij"))) == parts(cut(classes=10)) == parts(cut())


WORDS = DataSet(
    DATA.train, DATA.test, ("crane", "cat", "crane", *"defghij"), tuple(f"n0{label}" for label in range(10))
)


def test_class_may_be_named_by_its_id() -> None:
    choice = DataChoice.model_validate({"name": "tiny-imagenet", "classes": ["n02", "cat"]})
    found = split_dataset(WORDS, choice, 0)
    assert (found.classes, set(digits(found.test))) == (("crane", "cat"), {1, 2})


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            ["cat", "craen"],
            "this copy of tiny-imagenet has no class 'craen'; it has crane, .*; did you mean crane",
        ),
        (["cat", "crane"], "tiny-imagenet has 2 classes 'crane'; write n00 or n02"),
        (["cat", "d", "n01"], "'n01' is the same class as 'cat'"),
        (11, "classes is 11; this copy of tiny-imagenet has 10 classes"),
    ],
)
def test_unknown_classes_are_refused(classes: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_dataset(WORDS, DataChoice.model_validate({"name": "tiny-imagenet", "classes": classes}), 0)


def without(part: Images, *labels: int) -> Images:
    return part.take(np.flatnonzero(~np.isin(part.labels, labels)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            DataSet(without(DATA.train, 1, 3), DATA.test, DATA.classes),
            "has no training images of b, d; .*classes: .a, c, e",
        ),
        (DataSet(DATA.train, without(DATA.test, 0), DATA.classes), "has no test images of a; "),
        (
            DataSet(without(DATA.train, 5), without(DATA.test, 0), DATA.classes),
            "training images of f and no test images of a",
        ),
    ],
)
def test_class_without_images_is_refused_by_name(data: DataSet, message: str) -> None:
    with pytest.raises(DataError, match=f"this copy of cifar10 {message}" if message.startswith("has") else message):
        split_dataset(data, DataChoice(name="cifar10"), 0)


def test_complete_classes_of_an_incomplete_copy_can_be_chosen() -> None:
    data = DataSet(without(DATA.train, 1, 3), DATA.test, DATA.classes)
    assert split_dataset(data, DataChoice(name="cifar10", classes=("a", "c", "e")), 0).classes == ("a", "c", "e")


def test_subset_too_small_for_all_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"^7 training images hold none of 3 of the 10 classes; use more"):
        cut(subset=10, validation=3)


def test_uneven_and_missing_classes_are_pointed_out() -> None:
    assert cut().gaps == ""
    rare = DataSet(
        DATA.train.take(np.flatnonzero((DATA.train.labels != 2) | (np.arange(1000) < 400))), DATA.test, DATA.classes
    )
    assert split_dataset(rare, DataChoice(name="cifar10"), 0).gaps == "40 training images of c, 100 of j"
    few = DataSet(numbered(60, classes=6), numbered(12, classes=6), tuple("abcdef"))
    assert split_dataset(few, DataChoice(name="cifar10"), 0).gaps == "this copy lacks 4 of the 10 classes"


def test_data_without_a_test_image_is_refused() -> None:
    data = DataSet(DATA.train, DATA.test.take(np.array([], np.int64)), DATA.classes)
    with pytest.raises(DataError, match="this copy of cifar10 has no test images; unpack its archive again"):
        split_dataset(data, DataChoice(name="cifar10"), 0)


@pytest.mark.parametrize(("classes", "outputs"), [(None, 200), (20, 20), (["cat", "dog", "n01"], 3), ([3, 7], 2)])
def test_network_has_an_output_for_each_chosen_class(classes: object, outputs: int) -> None:
    assert DataChoice.model_validate({"name": "tiny-imagenet", "classes": classes}).outputs == outputs


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "cifar-10"}, "did you mean cifar10"),
        ({"name": "cifar10", "subset": 50_001}, "cifar10 has 50,000 training images"),
        ({"name": "cifar10", "test": 10_001}, "cifar10 has 10,000 test images"),
        ({"name": "cifar10", "subset": 100, "validation": 100}, "leave some to train on"),
        ({"name": "cifar10", "validation": 1.5}, "less than 1"),
        ({"name": "cifar10", "validation": 0}, "greater than"),
        ({"name": "cifar10", "validation": True}, "valid"),
        ({"name": "cifar10", "resolution": 4}, "greater than or equal to 8"),
        ({"name": "cifar10", "colour": "grey"}, "Extra inputs"),
        ({"name": "cifar10", "classes": 11}, "classes asks for 11; cifar10 has 10 classes"),
        ({"name": "cifar10", "classes": 1}, "given 1; write how many classes, 2 or more, or their names"),
        ({"name": "cifar10", "classes": True}, "given True; write how many"),
        ({"name": "cifar10", "classes": "cat"}, "given cat; write how many"),
        ({"name": "cifar10", "classes": ["cat"]}, r"given \['cat'\]; write how many"),
    ],
)
def test_impossible_choice_is_refused(section: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataChoice.model_validate(section)


@pytest.mark.parametrize("name", DATASETS)
def test_choice_knows_shape_and_classes_without_the_data(name: str) -> None:
    side = DATASETS[name].shape[1] // 2
    choice = DataChoice(name=name, resolution=side)
    assert choice.shape == (DATASETS[name].shape[0], side, side)
    assert choice.outputs == DATASETS[name].classes
