# Oracles for tests/test_survival_moves.py and tests/test_survival_features.py: what cox.R leaves open. Run here, after survival.R and cox.R: Rscript cox_more.R
#  - coxph with strata, also with late entry and changing covariates; a covariate that goes with another exactly
#  - survfit, coxph and the log-rank test by a covariate that changes on the way (heart)
#  - standard errors by leaving out one block of patients at a time, several spells a patient (cgd)
library(survival)
options(digits = 17)
write <- function(x, file) write.csv(format(x, digits = 17, trim = TRUE), file, row.names = FALSE, quote = FALSE)
steady <- coxph.control(eps = 1e-12, toler.chol = 1e-14, iter.max = 50)

rows <- read.csv("cox_rows.csv")
mg <- with(mgus2, data.frame(case = "mgus2", a = as.character(sex), b = as.character(cut(age, c(0, 60, 70, 80, 200), labels = 1:4)),
  entry = 0, exit = futime, outcome = ifelse(death == 1, "voluntary", "censored"), n = 1))  # months: heavy ties
mg <- aggregate(n ~ case + a + b + entry + exit + outcome, mg, sum)
write.csv(mg, "cox_mgus2.csv", row.names = FALSE, quote = FALSE)

answers <- NULL
for (counted in c(split(rows, rows$case), list(mgus2 = mg))) for (by in c("none", "strata")) {
  d <- counted[rep(seq_len(nrow(counted)), counted$n), ]
  if (by == "none" && d$case[1] != "mgus2") next
  y <- if (all(d$entry == 0)) Surv(d$exit, d$outcome != "censored") else Surv(d$entry, d$exit, d$outcome != "censored")
  fit <- if (by == "none") coxph(y ~ a + b, d, control = steady) else coxph(y ~ a + strata(b), d, control = steady)
  z <- cox.zph(fit, transform = "identity")$table
  answers <- rbind(answers, data.frame(case = d$case[1], strata = by, term = names(coef(fit)), beta = coef(fit),
    std_error = sqrt(diag(vcov(fit))), loglik = fit$loglik[2], loglik_null = fit$loglik[1],
    zph = z["GLOBAL", "chisq"], df = z["GLOBAL", "df"]))
}
write(answers, "cox_strata.csv")

# heart: day of the transplant is known; half days doubled, so that all days are whole
h <- with(heart, data.frame(id, transplant = as.integer(as.character(transplant)), surgery, start = 2 * start, stop = 2 * stop, event))
write.csv(h, "heart_pieces.csv", row.names = FALSE, quote = FALSE)
curve <- summary(survfit(Surv(start, stop, event) ~ transplant, h), censored = TRUE)
write(with(curve, data.frame(level = as.integer(strata) - 1, tenure = time, n_at_risk = n.risk, n_events = n.event,
  survival = surv, std_error = std.err)), "heart_curves.csv")
both <- coxph(Surv(start, stop, event) ~ transplant + surgery, h, control = steady)
sums <- function(h) rowSums(sapply(sort(unique(h$stop[h$event == 1])), function(t) {  # the log-rank test, tied days and all
  at <- h$start < t & t <= h$stop; n <- sum(at); d <- sum(at & h$stop == t & h$event == 1)
  n1 <- sum(at & h$transplant == 1); d1 <- sum(at & h$transplant == 1 & h$stop == t & h$event == 1)
  c(d1 - d * n1 / n, if (n > 1) d * n1 / n * (1 - n1 / n) * (n - d) / (n - 1) else 0)
}))
within <- Reduce(`+`, lapply(split(h, h$surgery), sums))
write(data.frame(term = c("transplant", "surgery", "logrank", "stratified"),
  beta = c(coef(both), sums(h)[1]^2 / sums(h)[2], within[1]^2 / within[2]),
  std_error = c(sqrt(diag(vcov(both))), NA, NA)), "heart_cox.csv")

# cgd: infections of patients who can have several, gap time restarted; 20 blocks of patients
g <- with(cgd, data.frame(block = id %% 20, treat = as.integer(treat) - 1, sex = as.integer(sex) - 1,
  steroids = steroids, exit = tstop - tstart, event = status))
full <- coxph(Surv(exit, event) ~ treat + sex, g, control = steady)
without <- sapply(0:19, function(b) coef(coxph(Surv(exit, event) ~ treat + sex, subset(g, block != b), control = steady)))
spread <- sqrt(19 / 20 * rowSums((without - rowMeans(without))^2))
robust <- sqrt(diag(vcov(coxph(Surv(exit, event) ~ treat + sex, g, cluster = block))))
write.csv(g, "cgd_spells.csv", row.names = FALSE, quote = FALSE)
write(data.frame(term = names(coef(full)), beta = coef(full), std_error = sqrt(diag(vcov(full))), jackknife = spread,
  robust = robust), "cgd_cox.csv")
