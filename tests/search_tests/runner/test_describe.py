"""What a run says about its recipe."""

from search.runner.describe import describe_recipe
from snnkit.training.recipe import Recipe


def test_recipe_is_described_with_all_its_learning_rates_and_sizes() -> None:
    plain = "10 epochs, batch 64, adamw with lr 0.002, onecycle, augmentation flip_crop"
    assert describe_recipe(Recipe()) == plain
    muon = plain.replace("adamw", "muon with lr 0.05 beside adamw")
    assert describe_recipe(Recipe(optimizer="muon")) == muon
    assert describe_recipe(Recipe(first_resolution=16)) == f"{plain}, images from 16 pixels up"
    growing = Recipe(first_resolution=16, start="cnn", cnn_epochs=3)
    assert (
        describe_recipe(growing)
        == f"{plain}, from the weights of the CNN twin after 3 epochs, images from 16 pixels up"
    )
