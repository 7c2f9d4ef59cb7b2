from typing import NamedTuple

from distilroberta_np.layers.params import tree_leaves, tree_map


class Pair(NamedTuple):
    left: object
    right: object


TREE = Pair(Pair(1, None), (2, (Pair(3, 4),), ()))


def test_leaves_are_in_the_order_of_the_fields_without_none():
    assert list(tree_leaves(TREE)) == [1, 2, 3, 4]


def test_map_keeps_the_structure_and_the_types():
    doubled = tree_map(lambda leaf: leaf * 2, TREE)
    assert doubled == Pair(Pair(2, None), (4, (Pair(6, 8),), ()))
    assert type(doubled) is Pair
    assert type(doubled.left) is Pair
    assert type(doubled.right) is tuple


def test_a_single_leaf_and_none_are_trees():
    assert tree_map(str, 5) == "5"
    assert tree_map(str, None) is None
    assert list(tree_leaves(5)) == [5]
    assert list(tree_leaves(None)) == []
