# Oracle for tests/test_survival_discrete.py: glm(binomial(cloglog)) on trials (customer-days) and events by month of
# tenure and level, a ratio for every level and stretch of tenure. Run here, after survival.R: Rscript discrete.R
options(digits = 17)
rows <- read.csv("survival_rows.csv", colClasses = c(level = "character"))
rows <- subset(rows, case == "ties")
days <- do.call(rbind, lapply(split(rows, rows$level), function(part) {
  day <- seq_len(max(rows$exit))
  data.frame(level = part$level[1], day,
    trials = sapply(day, function(t) sum(part$n[part$entry < t & part$exit >= t])),
    events = sapply(day, function(t) sum(part$n[part$exit == t & part$outcome != "censored"])))
}))
bounds <- floor(365.25 / 12 * (0:200))                    # the anniversaries; month m is (bounds[m], bounds[m + 1]]
days$month <- findInterval(days$day, bounds, left.open = TRUE)
grouped <- aggregate(cbind(trials, events) ~ level + month, days, sum)
grouped$stretch <- cut(grouped$month, c(0, 3, 12, 24, Inf), c(0, 3, 12, 24))
most <- names(which.max(tapply(rows$n, rows$level, sum)))
grouped$level <- relevel(factor(grouped$level), most)
alive <- ave(grouped$events, grouped$month, FUN = sum) > 0 & grouped$trials > 0
grouped <- droplevels(subset(grouped, alive))
strict <- glm.control(epsilon = 1e-12, maxit = 100)
plain <- glm(cbind(events, trials - events) ~ 0 + factor(month) + level, binomial("cloglog"), grouped, control = strict)
terms <- expand.grid(level = levels(grouped$level)[-1], stretch = levels(grouped$stretch), stringsAsFactors = FALSE)
x <- sapply(seq_len(nrow(terms)), function(i) as.numeric(as.character(grouped$level) == terms$level[i] &
  as.character(grouped$stretch) == terms$stretch[i]))
full <- glm(cbind(events, trials - events) ~ 0 + factor(month) + x, binomial("cloglog"), grouped, control = strict)
k <- grep("^x", names(coef(full)))
out <- cbind(terms, log_ratio = coef(full)[k], std_error = sqrt(diag(vcov(full)))[k],
  statistic = plain$deviance - full$deviance, df = plain$df.residual - full$df.residual)
write.csv(format(out, digits = 17, trim = TRUE), "discrete_fit.csv", row.names = FALSE, quote = FALSE)
