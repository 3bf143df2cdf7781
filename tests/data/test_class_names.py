"""Which of two classes is positive, by their names."""

import pytest

from plainfilm.data.class_names import positive_of


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        *(("COVID", "NORMAL"), ("Pneumonia", "Healthy"), ("tb", "no_finding"), ("1", "0"), ("1.0", "0.0"), ("yes", "no")),
        *(("COVID", "NonCOVID"), ("COVID-19", "non-COVID"), ("COVID", "Not COVID"), ("COVID19", "noncovid")),
        *(("infected", "uninfected"), ("TB", "without TB"), ("nodule", "no nodule"), ("abnormal", "normal")),
        *(("unhealthy", "healthy"), ("covid", "covid_neg"), ("COVID", "COVID-negative"), ("positive", "negative")),
        *(("malignant", "benign"), ("TB", "TB free"), ("true", "false"), ("krank", "gesund"), ("effusion", "effusion absent")),
        *(("Pneumonia", "No Pneumonia"), ("COVID", "None"), ("opacity", "other than opacity"), ("sick", "Control")),
    ],
)  # fmt: skip
def test_the_class_whose_name_denies_is_negative(positive, negative):
    assert positive_of(positive, negative) == positive
    assert positive_of(negative, positive) == positive


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("a", "b"), ("COVID", "Pneumonia"), ("negative", "normal"), ("Viral Pneumonia", "Pneumonia"), ("2", "3")),
        *(("mild", "severe"), ("severe pneumonia", "pneumonia"), ("corona virus", "virus"), ("no TB", "no COVID")),
    ],
)
def test_where_neither_or_both_deny_it_cannot_be_known(one, other):
    assert positive_of(one, other) is None
    assert positive_of(other, one) is None
