"""Which columns about an image may stand in a store, and which of their values: an allow-list, for nobody can list what identifies.

Names are known by letters and digits alone, in several languages; values are looked at too, since a column called `model` may
hold the name of a person. Ages are coarsened as 45 CFR 164.514(b)(2)(i)(C) asks (HIPAA safe harbor): those above 89 are 90.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from plainfilm.data.ages import years
from plainfilm.data.cataloguing.level_names import tokens
from plainfilm.data.sexes import is_sex
from plainfilm.data.spelling import plain
from plainfilm.data.tables.columns import COLUMNS, letters

Cells = Sequence[str]
Groups = Sequence[int]

OLDEST_TOLD = 89  # years
_FEW = 4  # different words that any column may hold, however few images there are
_MOST_LETTERS, _MOST_WORDS = 40, 6
_MOST_DIGITS = 7  # more are a number of a device, a telephone or a person
_FITTING = 0.5  # share of the values of a column that must fit

_NUMBERS = """
    width height rows columns cols originalwidth originalheight breite hohe hoehe largeur hauteur ancho alto anchura altura largura
    larghezza altezza 宽度 高度 bits bitsstored bitsallocated bitdepth depth highbit quality ppi dpi resolution spatialresolution auflosung aufloesung
    resolucion resolucao risoluzione 分辨率 pixelspacing imagerpixelspacing spacing pixelspacingx pixelspacingy pixelaspectratio pixelrepresentation
    samplesperpixel channels windowcenter windowwidth rescaleslope rescaleintercept brightness contrast
    exposure exposureinmas exposureinuas exposuretime exposureindex targetexposureindex deviationindex relativexrayexposure sensitivity
    exposicion exposicao esposizione exposition tempsdexposition tempsexposition tiempoexposicion tiempodeexposicion tempodeexposicao
    tempodiesposizione belichtung belichtungszeit belichtungsindex 曝光 曝光时间 曝光量 曝光指数 kv kvp mas ma tubevoltage tubecurrent
    xraytubevoltage xraytubecurrent roehrenspannung rohrenspannung roehrenstrom rohrenstrom tensiondutube tensiontube couranttube kilovoltaje
    kilovoltagem miliamperaje corrientetubo tensiontubo tensaotubo correntetubo tensionetubo 管电压 管电流 dose dap doseareaproduct areadoseproduct
    imageandfluoroscopyareadoseproduct entrancedose entrancedoseinmgy dosis dosi 剂量 dosisflachenprodukt dosisflaechenprodukt sid sourcetodetectordistance
    distancesourcetodetector distancesourcetopatient sourceimagedistance focusdetectordistance filmfocusdistance focalspots focalspot brennfleck
""".split()
_WORDS_OF_MAKING = """
    portable bedside pediatric projectiontype viewtype strahlengang aufnahmerichtung position patientposition patientorientation bodyposition lagerung
    korperposition koerperposition posicion posicao posizione laterality imagelaterality seite methodprojection viewcodesequencecodemeaning
    procedurecodesequencecodemeaning patientorientationcodesequencecodemeaning modality modalitat modalitaet modalite modalidad modalidade modalita
    设备类型 检查类型 bodypart bodypartexamined korperteil koerperteil korperregion koerperregion partiducorps partecuerpo partedelcuerpo parteducorps
    partiecorps partieducorps partedocorpo partedelcorpo 部位 检查部位 manufacturer devicemanufacturer vendor maker make hersteller geratehersteller
    geraetehersteller fabricant constructeur fabricante fabbricante produttore 厂商 厂家 制造商 生产厂家 メーカー 제조사 производитель model devicemodel
    modelname manufacturermodel manufacturermodelname manufacturersmodelname scannermodel machinemodel geratetyp geraetetyp geratemodell
    geraetemodell modell modele modelo modello 型号 设备型号 機種 모델 модель device devicetype machine scanner scannertype gerat geraet appareil
    equipo equipamento apparecchio 设备 detector detectortype detektor detektortyp detecteur detettore rivelatore 探测器 grid raster filter filtertype
    format fileformat originalformat originalext extension ext filetype imagetype dateiformat formato 格式 mode originalmode colormode colourmode
    compression lossyimagecompression transfersyntax transfersyntaxuid photometric photometricinterpretation presentationintenttype
""".split()
_BANDS = "agegroup agegroups ageband agerange agecategory altersgruppe altersklasse tranchedage groupeage grupoedad grupoetario faixaetaria fasciadieta 年龄组 年龄段".split()
_AROUND = frozenset(  # words that stand around such a name and change nothing
    "dicom dcm image images img film original orig patient patients patienten paciente pacientes paziente cxr xray the of in des der "
    "del de do da du di d la le years year yrs jahre jahren ans anos cm mm px pixels mgy 患者".split()
)
_KNOWN_WORDS = frozenset(  # of values that may stand alone, since they are no name of a person
    "pa ap l ll rl lat rlat llat lld rld lateral frontal posteroanterior anteroposterior oblique lao rao lpo rpo supine erect upright standing "
    "sitting seated prone decubitus lordotic portable bedside mobile semi left right r u b chest thorax torax lung lungs rib ribs abdomen trunk cr dx dr rg "
    "ct mr xa portrait landscape monochrome1 monochrome2 rgb ybr full palette color colour gray grey png jpeg jpg tif tiff dicom webp bmp gif "
    "seitlich frontale liegend stehend sitzend face profil debout couche assis lateral frente perfil pie acostado sentado deitado posterior anterior "
    "posteriore anteriore laterale yes no none unknown other both and view position true false 0 1 recumbent child adult ped adu neonate 正位 侧位 后前位 前后位 卧位 立位 胸部".split()
)
_TITLED = re.compile(
    r"\b(dr|prof|mr|mrs|ms|herr|frau|mme|mlle|monsieur|madame|senor|senora|senhor|senhora|sig|signora|md|phd)\b\.? [^\W\d]{3,}"
)
_FIRST_NAMES = frozenset(
    "ahmed alberto aleksandr alessandro alexander alexandra ali alice amelie ana andrea andreas andrew angela anita anja anna anne annette "
    "antoine antonio barbara beatriz bernard birgit brigitte bruno camille carla carlos carmen caroline catarina catherine cecile charles "
    "charlotte chiara chris christian christine christoph claudia claire clara cristina daniel daniela david diana diego dieter dmitri dominique "
    "eduardo elena elisabeth elizabeth emily emma eric erika eva fatima felix fernando filipe florian francesca francesco francisco francois "
    "frank franz frederic friedrich gabriel gabriela gerhard giovanni giulia giuseppe hanna hannah hans heike heinz helena helga helmut henri "
    "horst ines ingrid irene isabel isabelle ivan jack jacques james jan jana jane javier jean jennifer jessica joao joachim john johann johannes "
    "jonas jorge jose joseph juan julia julie jurgen karin karl katharina katrin kevin klaus kurt lara laura laurent lea lena leon linda lisa "
    "louis louise luca lucas lucia ludwig luis luisa lukas manfred manuel marc marco margarida maria mariana marie mario mark markus marta martin "
    "martina mary matthias maximilian mehmet michael michel michelle miguel mohamed mohammed monica monika muhammad natalia nicolas nicole "
    "nina olga olivier oscar otto pablo patricia patrick paul paula paulo pedro peter petra philippe pierre rafael rainer renate ricardo richard "
    "robert roberto rosa ruth sabine samuel sandra sara sarah sebastian sergio silvia simon sofia sophie stefan stefanie steffen stephanie susan "
    "susanne sven sylvie teresa thomas tim tobias ulrich ursula uwe valentina victor wang werner wilhelm william wolfgang yusuf zhang 张 王 李 刘 陈".split()
)
_OF_THE_MAKING = frozenset(  # words of the names of columns
    "hospital institution institutional site center centre clinic ward department station room raum device serial detector scanner machine operator "
    "operators technician technologist radiographer radiologist physician performing referring protocol software date time study acquisition series "
    "accession klinik krankenhaus abteilung zimmer gerat seriennummer stationsname untersucher arzt datum uhrzeit aufnahmedatum zuweiser "
    "untersuchungsdatum hopital etablissement service salle appareil operateur medecin heure hospitales centro servicio sala equipo operador "
    "medico fecha hora ospedale reparto tecnico 医院 机构 科室 设备 医生 技师 日期 时间 序列号".split()
)
_DATE = re.compile(
    r"(?<!\d)\d{1,4}([-./ ])\d{1,2}\1\d{1,4}(?!\d)|(?<!\d)(19|20)\d\d[-./ ](0?[1-9]|1[0-2])(?!\d)|(?<!\d)(0?[1-9]|1[0-2])[-./](19|20)\d\d(?!\d)|\d{4}年|(?<!\d)(18|19|20)\d{6}(?!\d)|"
    r"(?<!\d)\d{1,2}\.?\s*(de )?[a-zäéû]{3,9}\.?,?\s*(de )?\d{4}|[a-z]{3,9}\.?\s\d{1,2},?\s\d{4}|\d{1,2}:\d\d"
)
_OF_DICOM = re.compile(r"1\.2\.840\.10008(\.\d+)+")  # a transfer syntax, not a UID of somebody's image
_NUMBER = re.compile(r"[-+]?(\d{1,5}([.,]\d+)?|[.,]\d+)(e[-+]?\d{1,2})?\s*[a-zµ%²*·]{0,6}", re.IGNORECASE)
_BAND = re.compile(r"[<>≤≥]?\s*\d{1,3}\s*(([-–~]|to|bis|a|à)\s*\d{1,3}|\+)?\s*\w{0,6}", re.IGNORECASE)


def cells_of(name: str, cells: Cells, groups: Groups) -> list[str] | None:
    """Give the values of a column that may stand in a store, "" for those that may not; None where the column may not.

    Parameters
    ----------
    name
        As the table, or the decoder, calls it.
    cells
        Its values as text, "" for none.
    groups
        The patient, or the group of duplicates, of each.
    """
    rule = _rule_of(name)
    if rule is None:
        return None
    kept = rule(cells, groups)
    filled, fitting = sum(cell != "" for cell in cells), sum(cell != "" for cell in kept)
    return kept if fitting and fitting >= _FITTING * filled else None


@lru_cache(1000)
def _rule_of(name: str) -> Callable[[Cells, Groups], list[str]] | None:
    name = re.sub(r"[(\[]\w{1,6}[)\]]$", "", name)  # a unit
    bare = letters("".join(word for word in tokens(name) if word not in _AROUND))
    for spelling in (letters(name), bare, re.sub(r"^(patient(en|s)?|患者)", "", bare)):
        if spelling in _RULES:
            return _RULES[spelling]
    return None


def is_told_by_files(name: str) -> bool:
    """Whether the name of a column may be what the decoder tells of a file, with or without a table."""
    return _rule_of(name) is not None or letters(name) == "institution"


def is_of_the_making(name: str) -> bool:
    """Whether the name of a column is of how an image came to be: where, when, with what and by whom."""
    words = tokens(name)
    return bool(_OF_THE_MAKING.intersection([*words, letters(name)]))


def _numbers(cells: Cells, _groups: Groups) -> list[str]:
    """Keep numbers with their unit, pairs of them too; none that is so long that it may be a person's."""
    return _each(cells, lambda cell: cell if all(map(_NUMBER.fullmatch, _parts(cell))) else "")


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in re.split(r"[\\/x;]|, ", cell.strip("[]() "))]


def _ages(cells: Cells, _groups: Groups) -> list[str]:
    """Keep ages in whole years, below two in months; 90 for all above 89."""
    return _each(cells, _age)


def _age(cell: str) -> str:
    age = years(cell)
    if math.isnan(age):
        return ""
    if age > OLDEST_TOLD or (age == OLDEST_TOLD and cell.lstrip().startswith(">")):
        return f"{OLDEST_TOLD + 1}"
    return f"{math.floor(age)}" if age >= 2 else f"{math.floor(age * 12 + 1e-6) / 12:.3g}"


def _bands(cells: Cells, _groups: Groups) -> list[str]:
    def band(cell: str) -> str:
        low = re.search(r"\d+", cell)
        if low is None or not _BAND.fullmatch(cell.strip()):
            return ""
        return f"{OLDEST_TOLD + 1}+" if int(low[0]) > OLDEST_TOLD else cell

    return _each(cells, band)


def _sexes(cells: Cells, _groups: Groups) -> list[str]:
    return _each(cells, lambda cell: cell if is_sex(cell) else "")


def _words(cells: Cells, groups: Groups) -> list[str]:
    """Keep words that are known, or that two patients share, unless there are so many as there are patients."""
    shared = Counter(cell for cell, _ in {(cell, group) for cell, group in zip(cells, groups, strict=True) if cell})
    known = {cell for cell in shared if _is_known(cell)}
    others = {cell for cell, count in shared.items() if cell not in known and count > 1 and not looks_personal(cell)}
    if len(others) > max(_FEW, math.sqrt(len(set(groups)))):
        others = set()
    kept = known | others
    return [cell if cell in kept else "" for cell in cells]


def _is_known(cell: str) -> bool:
    words = [word for word in re.split(r"[\W_]+", cell.casefold()) if word]
    return bool(words) and (all(word in _KNOWN_WORDS for word in words) or bool(_OF_DICOM.fullmatch(cell)))


def looks_personal(cell: str) -> bool:
    """Whether a value looks like a name, a date, a number of somebody or something, an address, or free text."""
    bare = plain(cell)
    words = re.findall(r"[^\W_]+", bare)
    cell = re.sub(r",? (inc|ltd|co|corp|gmbh|ag|llc|bv|sa|spa)\b\.?", "", cell, flags=re.IGNORECASE)
    if len(cell) > _MOST_LETTERS or len(words) > _MOST_WORDS or any(sign in cell for sign in "^@,?!") or "://" in cell:
        return True
    if re.search(r"\d{5,}|\d+(\.\d+){3,}", cell) or sum(sign.isdigit() for sign in cell) > _MOST_DIGITS:
        return True
    named = bool(words) and not re.search(r"\d", cell) and bool(_FIRST_NAMES & {words[0], words[0][:1], words[-1]})
    return named or bare.startswith("max ") or bool(_TITLED.search(bare)) or bool(_DATE.search(bare))


def _each(cells: Cells, keep: Callable[[str], str]) -> list[str]:
    kept = {cell: keep(cell) if cell else "" for cell in set(cells)}
    return [kept[cell] for cell in cells]


_RULES: Mapping[str, Callable[[Cells, Groups], list[str]]] = {
    **{letters(name): _numbers for name in _NUMBERS},
    **{letters(name): _words for name in (*_WORDS_OF_MAKING, *COLUMNS["view"])},
    **{letters(name): _bands for name in _BANDS},
    **{letters(name): _ages for name in COLUMNS["age"]},
    **{letters(name): _sexes for name in COLUMNS["sex"]},
}
