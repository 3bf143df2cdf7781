"""What the name of one folder means by itself: a part of the split, a patient, a date, a collection, a finding, or nothing."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache

from plainfilm.data.spelling import spelling_key, without_accents

SPLITS: dict[str, str] = {
    **dict.fromkeys(
        "train training trainings trainval trn entrenamiento treino treinamento entrainement apprentissage addestramento "
        "訓練 训练 学習 학습 훈련 обучение обучающая".split(),
        "train",
    ),
    **dict.fromkeys(
        "val valid validate validation dev validierung validierungs validacion validacao validazione validatie 验证 驗證 検証 검증 "
        "валидация валидационная".split(),
        "validation",
    ),
    **dict.fromkeys(
        "test testing holdout prueba pruebas teste testes 测试 測試 テスト 테스트 시험 тест тестовая".split(), "test"
    ),
}
_SHORT_SPLITS = {  # what they mean hangs on the folders beside them
    **dict.fromkeys(("tr",), ("train",)),
    **dict.fromkeys(("va", "vl", "eval", "evaluation"), ("validation", "test")),
    **dict.fromkeys(("te", "ts"), ("test",)),
}

MOST_LETTERS = 100  # of a name that are looked at: members of archives may have 65,535
_REMEMBERED = 100_000
_CROWD = 5  # folders
_NUMBERED_FIRST = re.compile(
    r"(patient|subject|case|study|series|exam|examination|visit|session|scan)[\s_.-]*\d+[\s_.-]+", re.IGNORECASE
)
_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+")
_FILLERS = frozenset(
    "a and chest cxr cxrs data dataset dcm dicom dicoms file files film films final folder full image images img imgs jpeg "
    "jpg new of part png pngs ray rays radiograph radiographs sample samples set sets stage subset the v version x xray "
    "xrays daten datos donnees dados dati 集 数据 数据集 图像 图片 データ セット 데이터 세트 выборка набор".split()
)
_SPLIT_AND_FILLER = re.compile(  # trainset, imgstest
    rf"(?P<before>{'|'.join(SPLITS)})({'|'.join(_FILLERS)})|({'|'.join(_FILLERS)})(?P<behind>{'|'.join(SPLITS)})"
)
_PLAIN = _FILLERS | frozenset(
    "all ap assets augmented base default docs extracted figures frontal input inputs lat lateral lung lungs main original "
    "originals output outputs pa plots preprocessed processed public raw release resized results split thorax unannotated "
    "unlabeled unlabelled unsorted unzipped".split()
)
_FINDING_WORDS = frozenset(
    "tb ptb flu none other others no yes pos neg true false ill well class label grade category without with non not".split()
)
_NEGATIVE = frozenset(
    "normal normals negative negatives neg healthy control controls no none clear benign false absent unremarkable 0 - "
    "nofinding nofindings nodisease gesund unauffaellig unauffällig sain saine sano sana negativ negatif négatif negativo".split()
)
_FINDING = re.compile(
    r"n?cov(id)?|corona|sars|mers$|normal|abnorm|pneumon|viral|virus|bacteri|fung|tubercul|healthy|controls?$|positiv|"
    r"negativ|opaci|effusion|atelecta|cardiomeg|nodul|mass(es)?$|infiltrat|pneumothor|consolid|o?edema|emphys|fibros|pleura|"
    r"hernia|fractur|cancer|carcino|malign|benign|tumou?r|lesion|findings?$|diseas|sick|influenz|ards$|silicos|gesund|krank|"
    r"befund|sain$|malade|sano$|enferm|neumon"
)
_FINDING_INSIDE = re.compile(r"covid|ncov|normal|pneumon|tubercul|positiv|negativ")
_COLLECTION = frozenset(
    "set dataset datasets database db collection collections allfiles cohort registry hospital hospitals clinic site center "
    "centre institution university source nih rsna chexpert mimic padchest vindr vinbigdata montgomery shenzhen china jsrt "
    "covidx cohen ieee bimcv siim kaggle figure actualmed sirm mendeley tcia brixia openi indiana nlm repository".split()
)
_PATTERNS = {
    "fold": re.compile(r"(k?[\s_.-]?fold|cv|run|rep|split|partition|k)[\s_.-]*\d+", re.IGNORECASE),
    "date": re.compile(
        r"(19|20)\d\d([\s_.-]?(0[1-9]|1[0-2])([\s_.-]?[0-3]\d)?)?([\sT_-].*)?|[0-3]?\d[_.-][0-3]?\d[_.-](19|20)\d\d(-.*)?"
    ),
    "plain": re.compile(
        r"(part|batch|chunk|vol|volume|disk|disc|cd|dvd|archive|zip|images?|imgs?|files?|data|folder|dir|subset|group|set|"
        r"png|jpe?gs?|dicoms?|dcm)[\s_.-]*([0-9]{1,5}|[a-f])",
        re.IGNORECASE,
    ),
    "examination": re.compile(
        r"(study|series|exam|examination|visit|session|scan|acc|accession|order|view)[\s_.-]*\d+.*|"
        r"(s|se|ses|st|stu|sty|im)[\s_.-]*\d+([\s_.-]*[\w.-]*\d[\w.-]*)?|"
        r"\d+(\.\d+){3,}|\d+\.0+-.*",
        re.IGNORECASE,
    ),
    "patient": re.compile(
        r"(patient|subject|person|individual|participant|mrn|animal)[\s_.-]*\d+.*|sub-\w*\d\w*|\d{5,}|"
        r"(p|pt|pat|subj|sub|case|id)[\s_.-]*\d+[\w.-]*|"
        r".*\^.*|[^\W\d]+, ?[^\W\d]+.*|[0-9a-f]{12,}|[0-9a-f]{8}-[0-9a-f]{4}-.*",
        re.IGNORECASE,
    ),
}


def tokens(name: str) -> list[str]:
    """Words and numbers of a name in lower case: `TrainSet_01` gives train, set, 01."""
    return [token.lower() for token in _TOKEN.findall(without_accents(name))]


@lru_cache(_REMEMBERED)
def split_of(name: str) -> str | None:
    """Part of the split that a name means: a split word with nothing but fillers beside it; None for other names.

    `train_val` is train: the validation set is to be taken out of it.
    """
    words = tokens(re.sub(r"hold[\s_-]out", "holdout", name, flags=re.IGNORECASE))
    found = {split for word in words if (split := _split_of_word(word))}
    if not all(_split_of_word(word) or word in _FILLERS or word.isdigit() for word in words):
        return None
    return "train" if found == {"train", "validation"} else found.pop() if len(found) == 1 else None


@lru_cache(_REMEMBERED)
def _split_of_word(word: str) -> str | None:
    if word in SPLITS or not (joined := _SPLIT_AND_FILLER.fullmatch(word)):
        return SPLITS.get(word)
    return SPLITS[joined["before"] or joined["behind"]]


@lru_cache(_REMEMBERED)
def is_finding(name: str) -> bool:
    """Whether a name has a word that classes of chest radiographs have, such as covid, normal or positive."""
    words = tokens(name)
    return any(_FINDING.match(word) or word in _FINDING_WORDS for word in words) or bool(
        _FINDING_INSIDE.search(name.casefold())
    )


def is_negative(name: str) -> bool:
    """Whether a name says by itself that nothing is found: normal, No Finding, healthy and the like."""
    return letters_of(spelling_key(name)) in _NEGATIVE or name.strip() in _NEGATIVE


def letters_of(name: str) -> str:
    """Give the letters and digits of a name, small."""
    return re.sub(r"[\W_]", "", name.casefold())


@lru_cache(_REMEMBERED)
def kind_of(name: str) -> str:
    """Kind of a folder's name: split, plain, fold, date, examination, patient, finding, collection, number or name."""
    name = name.strip()[:MOST_LETTERS]
    if split_of(name):
        return "split"
    words = tokens(name)
    if all(word in _PLAIN for word in words) and any(len(word) > 1 for word in words):
        return "plain"
    if is_finding(name) and "^" not in name:
        return "finding"
    by_pattern = next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(name)), None)
    if by_pattern:
        return by_pattern
    if any(word in _COLLECTION for word in words):
        return "collection"
    return "number" if name.isdigit() else "name"


def halves(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Names that join a part of the split and something else, as `train_COVID` beside `test_COVID`: name -> both."""
    found: dict[str, tuple[str, str]] = {}
    parts: dict[str, set[str]] = defaultdict(set)
    for name in names:
        words = re.split(r"[\s_.-]+", name)
        splits = {SPLITS[word.lower()] for word in words if word.lower() in SPLITS}
        rest = " ".join(word for word in words if word.lower() not in SPLITS)
        if len(splits) == 1 and rest:
            split = splits.pop()
            found[name] = (split, rest)
            parts[rest.casefold()].add(split)
    return {name: both for name, both in found.items() if len(parts[both[1].casefold()]) > 1}


def short_splits(siblings: Iterable[str]) -> dict[str, str]:
    """Parts of the split of folders that lie side by side, where some are written short, as `tr`, `te` and `eval`."""
    names = set(siblings)
    found = {name: split for name in names if (split := split_of(name))}
    for name in sorted(names - set(found)):
        meant = [part for part in _SHORT_SPLITS.get(name.lower(), ()) if part not in found.values()]
        if not meant:
            return {}
        found[name] = meant[0]
    return found if len(set(found.values())) > 1 else {}


def numbered(siblings: Iterable[str]) -> set[str]:
    """Folders that lie side by side and differ by a long number alone, as `LIDC-IDRI-0001`: patients or examinations."""
    shapes = {name: re.sub(r"\d+", "0", name) for name in siblings if re.search(r"\d{3}", name) and not name.isdigit()}
    alike = Counter(shapes.values())
    return {name for name, shape in shapes.items() if alike[shape] >= _CROWD}


def class_in(name: str) -> str:
    """Class that a folder's name ends in, without the number of an examination before it: `study1_positive`."""
    rest = _NUMBERED_FIRST.sub("", name)
    return rest if is_finding(rest) else name
