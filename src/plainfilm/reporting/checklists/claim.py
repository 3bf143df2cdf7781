"""CLAIM 2024, the checklist for artificial intelligence in medical imaging: 44 items, in our words.

Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300.
"""

from plainfilm.reporting.checklists import data_answers, model_answers, results_answers
from plainfilm.reporting.checklists.item import Item, Standard, by_author

CLAIM = Standard(
    name="CLAIM 2024",
    full_name="Checklist for Artificial Intelligence in Medical Imaging, 2024 update",
    citation="Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300",
    doi="10.1148/ryai.240300",
    sections={
        "Title and abstract": (
            Item("1", "Title names AI and which kind", "A title that says so, such as deep learning.", by_author),
            Item("2", "Abstract: design, methods, results, conclusion", "The abstract.", by_author),
        ),
        "Introduction": (
            Item("3", "Background, intended use and clinical role", "The clinical question and the role that the model is meant for.", by_author),
            Item("4", "Aims and hypotheses", "What the study set out to find.", by_author),
        ),
        "Methods: design": (
            Item("5", "Prospective or retrospective", "Which of the two.", by_author),
            Item("6", "Goal of the study", "Such as making a model, feasibility, comparison.", by_author),
        ),
        "Methods: data": (
            Item("7", "Sources of the data", "Who gathered each source, where and when; links; licences.", data_answers.sources),
            Item("8", "Inclusion and exclusion", "The clinical criteria by which images came into the folder.", data_answers.eligibility),
            Item("9", "Preprocessing", "What was done to the images before this tool read them.", model_answers.preprocessing),
            Item("10", "Choice of subsets of the data", "Whether the folder is a selection of a larger collection.", data_answers.subset),
            Item("11", "De-identification", "How identifiers were removed from tags, file names and burnt-in text.", data_answers.deidentified),
            Item("12", "Missing data", "Which clinical data are missing, and why.", data_answers.missing),
            Item("13", "How images were acquired", "Devices, views, exposure, digitised film or not, for each source.", data_answers.acquisition),
        ),
        "Methods: reference standard": (
            Item("14", "What the reference standard is", "How each label was established: PCR, CT, reading, report.", by_author),
            Item("15", "Why this reference standard", "Why this one, and how often it is wrong.", by_author),
            Item("16", "Who made the labels", "Annotators: number, training, instructions.", by_author),
            Item("17", "How the test set was labelled", "Procedure and software; whether labels were mined from text.", by_author),
            Item("18", "Agreement between and within annotators", "Its measure, and how disagreement was settled.", by_author),
        ),
        "Methods: partitions": (
            Item("19", "How data were assigned to parts", "The split and its reasons.", data_answers.partitions),
            Item("20", "Level at which parts are disjoint", "Patient, study or image.", data_answers.disjoint),
        ),
        "Methods: test data": (
            Item("21", "Intended sample size", "How large a test set was aimed at, and the calculation.", results_answers.sample_size),
        ),
        "Methods: model": (
            Item("22", "The model in detail", "Its layers, input and output.", model_answers.architecture),
            Item("23", "Software and versions", "Libraries with versions.", model_answers.software),
            Item("24", "First values of the parameters", "Where the weights come from.", model_answers.initialisation),
        ),
        "Methods: training": (
            Item("25", "Training in detail", "Optimizer, hyperparameters, augmentation, stopping.", model_answers.training),
            Item("26", "How the final model was selected", "The rule, and on which part it was applied.", model_answers.selection),
            Item("27", "Ensembles", "The models and how they are combined.", model_answers.one_model),
        ),
        "Methods: evaluation": (
            Item("28", "Metrics of performance", "The metrics, and which is the main one.", results_answers.measures),
            Item("29", "Uncertainty and significance", "Intervals and tests.", results_answers.uncertainty),
            Item("30", "Robustness and sensitivity", "An analysis of what the result depends on: let the audit run.", results_answers.robustness),
            Item("31", "Explainability", "The method and how it was validated, or that none was used.", by_author),
            Item("32", "Evaluation on internal data", "A test on the same sources.", results_answers.internal),
            Item("33", "Testing on external data", "A test on images of another hospital, or why there is none.", by_author),
            Item("34", "Trial registration", "The registration, or that this is no clinical trial.", by_author),
        ),
        "Results: data": (
            Item("35", "Patients or examinations included and excluded", "The numbers and a flow chart.", data_answers.flow),
            Item("36", "Demographic and clinical characteristics by part", "A table by part: age, sex, severity, devices.", data_answers.characteristics),
        ),
        "Results: performance": (
            Item("37", "Performance with its uncertainty", "The metrics on each part.", results_answers.performance),
            Item("38", "Diagnostic performance and precision", "Sensitivity and specificity with intervals.", results_answers.diagnostic),
            Item("39", "Analysis of failures", "A radiologist's view of why these images went wrong.", results_answers.failures),
        ),
        "Discussion": (
            Item("40", "Limitations", "What they mean for the conclusion.", results_answers.limitations),
            Item("41", "Implications for practice", "What should change in practice, and what stands in the way.", by_author),
        ),
        "Other": (
            Item("42", "Protocol or technical details", "Where the study protocol can be read.", model_answers.technical),
            Item("43", "Availability of software, model and data", "Where each can be had, and on which terms.", by_author),
            Item("44", "Funding and the role of funders", "Both, or that there was none.", by_author),
        ),
    },
)  # fmt: skip
