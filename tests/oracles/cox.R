# Oracles for tests/test_survival_cox.py: coxph (Efron and Breslow) and cox.zph, two factors each. Run here, after survival.R: Rscript cox.R
library(survival)
options(digits = 17)

rows <- read.csv("survival_rows.csv")
heart1 <- with(heart, data.frame(case = "heart", a = as.character(transplant), b = as.character(surgery), entry = start, exit = stop,
  outcome = ifelse(event == 1, "voluntary", "censored"), n = 1))
vet <- with(veteran, data.frame(case = "veteran", a = as.character(celltype), b = as.character(trt), entry = 0, exit = time,
  outcome = ifelse(status == 1, "voluntary", "censored"), n = 1))
set.seed(7)                     # the simulated set with late entry and heavy ties, a second covariate beside its level
ties <- subset(rows, case == "ties"); ties <- ties[rep(seq_len(nrow(ties)), ties$n), ]
ties <- with(ties, data.frame(case = "ties", a = level, b = sample(c("x", "y"), nrow(ties), TRUE), entry, exit,
  outcome = ifelse(outcome == "censored", "censored", "voluntary"), n = 1))
lungs <- with(subset(lung, !is.na(ph.ecog)), data.frame(case = "lung", a = as.character(pmin(ph.ecog, 2)), b = as.character(sex),
  entry = 0, exit = time, outcome = ifelse(status == 2, "voluntary", "censored"), n = 1))
bowel <- with(subset(colon, etype == 2), data.frame(case = "colon", a = as.character(rx), b = as.character(sex), entry = 0, exit = time,
  outcome = ifelse(status == 1, "voluntary", "censored"), n = 1))
liver <- with(subset(pbc, !is.na(trt) & !is.na(stage)), data.frame(case = "pbc", a = as.character(stage), b = as.character(trt),
  entry = 0, exit = time, outcome = ifelse(status == 2, "voluntary", "censored"), n = 1))
data <- rbind(heart1, vet, lungs, bowel, liver, ties)
data <- aggregate(n ~ case + a + b + entry + exit + outcome, data, sum)
write.csv(data, "cox_rows.csv", row.names = FALSE, quote = FALSE)

answers <- zph <- NULL
for (name in unique(data$case)) for (ties_rule in c("efron", "breslow")) {
  d <- subset(data, case == name); d <- d[rep(seq_len(nrow(d)), d$n), ]
  y <- if (all(d$entry == 0)) Surv(d$exit, d$outcome != "censored") else Surv(d$entry, d$exit, d$outcome != "censored")
  fit <- coxph(y ~ a + b, d, ties = ties_rule, control = coxph.control(eps = 1e-12, toler.chol = 1e-14, iter.max = 50))
  answers <- rbind(answers, data.frame(case = name, ties = ties_rule, term = names(coef(fit)), beta = coef(fit),
    std_error = sqrt(diag(vcov(fit))), loglik = fit$loglik[2], loglik_null = fit$loglik[1]))
  if (ties_rule == "efron") {
    z <- cox.zph(fit, transform = "identity")$table
    zph <- rbind(zph, data.frame(case = name, term = rownames(z), statistic = z[, "chisq"], df = z[, "df"], p_value = z[, "p"]))
  }
}
write <- function(x, file) write.csv(format(x, digits = 17, trim = TRUE), file, row.names = FALSE, quote = FALSE)
write(answers, "cox_fits.csv")
write(zph, "cox_zph.csv")
