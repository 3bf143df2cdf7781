"""TRIPOD+AI, for studies that make or evaluate a prediction model: 27 items, 52 with their parts, in our words.

Collins et al., BMJ 2024;385:e078378. A run makes a model and evaluates it, so parts for either are asked.
"""

from plainfilm.reporting.checklists import data_answers, model_answers, results_answers
from plainfilm.reporting.checklists.item import Item, Standard, by_author

TRIPOD = Standard(
    name="TRIPOD+AI",
    full_name="Transparent Reporting of a multivariable prediction model for Individual Prognosis Or Diagnosis, with AI",
    citation="Collins et al., BMJ 2024;385:e078378",
    doi="10.1136/bmj-2023-078378",
    sections={
        "Title and abstract": (
            Item("1", "Title: making or evaluating a model, for whom, of what outcome", "A title that says all three.", by_author),
            Item("2", "Abstract, by the list for abstracts", "The abstract.", by_author),
        ),
        "Introduction": (
            Item("3a", "Setting in health care, reasons, earlier models", "Diagnosis or prognosis, why a model, which ones exist.", by_author),
            Item("3b", "Target population, purpose, users", "For whom, where in the care of a patient, used by whom.", by_author),
            Item("3c", "Known health inequalities", "Between which groups.", by_author),
            Item("4", "Objectives", "What was to be made or evaluated.", by_author),
        ),
        "Methods: data": (
            Item("5a", "Sources of the data, and why these", "What each source is, why it was used, whom it represents.", data_answers.sources),
            Item("5b", "Dates of the data", "From when to when images were taken.", by_author),
            Item("6a", "Setting and centres", "Kind of care; number and place of the centres.", by_author),
            Item("6b", "Eligibility of participants", "The clinical criteria.", data_answers.eligibility),
            Item("6c", "Treatments received", "Which, and how they were dealt with; or that they do not matter here.", by_author),
            Item("7", "Preparation and quality checks", "Whether this was alike in all groups of patients.", data_answers.quality),
            Item("8a", "The outcome", "What is predicted, how and when it was established, why this one.", by_author),
            Item("8b", "Who assessed the outcome", "Their training and who they are, where judgement was needed.", by_author),
            Item("8c", "Blinding of the outcome", "Whether those who set the labels saw the image or other data.", by_author),
            Item("9a", "Choice of predictors", "Why the image alone.", model_answers.predictors),
            Item("9b", "Definition of predictors", "How and when the images were taken.", model_answers.predictors_defined),
            Item("9c", "Who assessed predictors", "Their training, where judgement was needed.", model_answers.no_assessor),
            Item("10", "Sample size", "How it came about, and why it is enough.", results_answers.sample_size),
            Item("11", "Missing data", "Which clinical data are missing, why, and what was done.", data_answers.missing),
        ),
        "Methods: analysis": (
            Item("12a", "How data were used and split", "The split and its reasons.", data_answers.partitions),
            Item("12b", "Handling of predictors", "Scaling and transformation.", model_answers.preprocessing),
            Item("12c", "Type of model, building, tuning, internal validation", "Why this model, and what else was tried.", model_answers.building),
            Item("12d", "Differences between clusters", "How differences between hospitals were measured: name the sources and let the audit run.", results_answers.clusters),
            Item("12e", "Measures and plots of performance", "The measures and why these.", results_answers.evaluation),
            Item("12f", "Updating of the model", "What was updated after evaluation.", model_answers.not_updated),
            Item("12g", "How predictions were computed", "Formula, code or program.", model_answers.prediction),
            Item("13", "Class imbalance", "What was done about it, and how probabilities were recalibrated.", model_answers.imbalance),
            Item("14", "Fairness", "What was done so that the model serves all groups, and why that.", results_answers.fairness),
            Item("15", "Output and thresholds", "Probabilities or classes; how thresholds were found.", model_answers.output),
            Item("16", "Differences between data for making and evaluating", "In setting, eligibility, outcome, predictors.", data_answers.differences),
            Item("17", "Ethical approval and consent", "Committee and number, consent or its waiver.", by_author),
        ),
        "Open science": (
            Item("18a", "Funding and the role of funders", "Both, or that there was none.", by_author),
            Item("18b", "Conflicts of interest", "Of all authors.", by_author),
            Item("18c", "Protocol", "Where it can be read, or that there is none.", by_author),
            Item("18d", "Registration", "Register and number, or that there is none.", by_author),
            Item("18e", "Availability of data", "Where and on which terms.", by_author),
            Item("18f", "Availability of code", "Where your own code and the recipe can be had.", model_answers.code),
        ),
        "Patients and public": (
            Item("19", "Involvement of patients and the public", "In which steps, or none.", by_author),
        ),
        "Results": (
            Item("20a", "Flow of participants", "Numbers with and without the outcome, and a diagram.", data_answers.flow),
            Item("20b", "Characteristics, by source", "A table: dates, age, sex, treatments, missing values.", data_answers.characteristics),
            Item("20c", "Evaluation data beside development data", "Age, sex and important predictors in both.", data_answers.compared),
            Item("21", "Participants and outcomes in each analysis", "The numbers for making, tuning and evaluating.", data_answers.numbers),
            Item("22", "The full model", "Where the file can be had, and on which terms.", model_answers.full_model),
            Item("23a", "Performance with intervals, also of subgroups", "The numbers.", results_answers.by_subgroup),
            Item("23b", "Performance across clusters", "Performance on each hospital, or that it was not examined.", results_answers.clusters),
            Item("24", "Results of updating", "The updated model and its performance.", model_answers.not_updated),
        ),
        "Discussion": (
            Item("25", "Interpretation, with fairness and earlier studies", "What the numbers mean.", by_author),
            Item("26", "Limitations", "Their effect on bias, uncertainty and use elsewhere.", results_answers.limitations),
            Item("27a", "Poor or missing input in use", "What to do with an image that is bad or no chest radiograph.", by_author),
            Item("27b", "What users must do and know", "Their part in using the model, and their training.", by_author),
            Item("27c", "Next steps", "What research should follow, with use elsewhere in view.", by_author),
        ),
    },
)  # fmt: skip
