# Oracle of test_public_path.py: a growing company with season and months that vary beyond chance, customer by customer,
# and what the trend notebooks must say of it, by base R alone and from the dates themselves. Run here: Rscript public.R
# Writes public_customers.csv, public_periods.csv (counts and chart), public_parts.csv (decomposition),
# public_event.csv (interrupted time series).
options(digits = 15)
set.seed(20241231)

# ---- customers: more join every month; each day's risk has a season, months of their own, and an event's step ---------
first <- as.Date("2022-01-01"); last <- as.Date("2025-01-05")
days <- seq(first, last, by = 1)
month <- format(days, "%Y-%m")
noise <- setNames(rnorm(length(unique(month)), 0, 0.15), unique(month))
risk <- 0.03 / 30.4 * exp(0.2 * sin(2 * pi * as.numeric(format(days, "%j")) / 365.25) + noise[month] +
  log(1.5) * (days >= as.Date("2024-05-01")))
n <- 2600
start <- sort(sample(days, n, replace = TRUE, prob = seq(1, 2, length.out = length(days))))
late <- rank(start) / n
region <- ifelse(runif(n) < 0.3 + 0.3 * late, "east", ifelse(runif(n) < 0.5, "north", "south"))
plan <- ifelse(runif(n) < 0.4, "a", "b")
own <- ifelse(region == "east", 1.4, 1) * ifelse(plan == "a", 1.3, 0.9)
at <- cumsum(risk)
left <- findInterval(c(0, at)[match(start, days)] + rexp(n) / own, at) + 1   # the day on which the risk is used up
end <- as.Date(ifelse(left > length(days), NA, days[pmin(left, length(days))]), origin = "1970-01-01")
end <- pmax(end, start)
write.csv(data.frame(customer = sprintf("K%04d", 1:n), start, end, region, plan), "public_customers.csv",
  row.names = FALSE, quote = FALSE, na = "")

# ---- periods: opening base and the losses of it, from the dates ------------------------------------------------------
counted <- function(from, to) data.frame(
  n = mapply(function(a) sum(start < a & (is.na(end) | end >= a)), from),
  d = mapply(function(a, b) sum(start < a & !is.na(end) & end >= a & end <= b), from, to),
  days = as.numeric(to - from) + 1)
months <- seq(first, as.Date("2024-12-01"), by = "month")
weeks <- seq(as.Date("2022-01-03"), as.Date("2024-12-23"), by = 7)
m <- cbind(unit = "month", period = format(months, "%Y-%m"), counted(months, seq(months[2], by = "month",
  length.out = length(months)) - 1))
w <- cbind(unit = "week", period = format(weeks, "%G-W%V"), counted(weeks, weeks + 6))

# Laney (2002), with the centre per day, the spread of the rate constant while the base grows, and prediction limits
laney <- function(x, usual, length) {
  b <- x$period >= usual[1] & x$period <= usual[2]
  long <- x$days / length
  centre <- sum(x$d[b]) / sum((x$n * long)[b]) * long
  chance <- sqrt(centre * (1 - centre) / x$n)
  z <- (x$d / x$n - centre) / chance
  sigma <- max(1, sd(z[b]))
  grown <- sqrt(1 + (sigma^2 - 1) * x$n / mean(x$n[b]))
  error <- sqrt(1 + x$n * centre / sum((x$n * centre)[b]))
  half <- qt(1 - 0.00135, sum(b) - 1) * grown * error * chance
  cbind(x, rate = x$d / x$n, centre, lower = pmax(0, centre - half), upper = centre + half, sigma)
}
m <- laney(m, c("2022-07", "2023-12"), 365.2425 / 12)
w <- laney(w, c("2022-W27", "2023-W52"), 7)
write.csv(rbind(m, w)[c(m$n, w$n) > 0, ], "public_periods.csv", row.names = FALSE, quote = FALSE)

# ---- October 2024 against October 2023: Kitagawa's rates by region, Das Gupta's mixes over all orders -----------------
tenure <- function(a) {
  done <- 12 * (as.numeric(format(a, "%Y")) - as.numeric(format(start, "%Y"))) + as.numeric(format(a, "%m")) -
    as.numeric(format(start, "%m")) - (as.numeric(format(start, "%d")) > 1)
  cut(done, c(-Inf, 6, 12, 24, Inf), c("0-6", "6-12", "12-24", "24+"), right = FALSE)
}
cells <- function(a, b) {
  there <- start < a & (is.na(end) | end >= a)
  key <- list(region = region[there], plan = plan[there], tenure = as.character(tenure(a)[there]))
  aggregate(list(n = rep(1, sum(there)), d = 1 * (!is.na(end[there]) & end[there] <= b)), key, sum)
}
both <- merge(cells(as.Date("2023-10-01"), as.Date("2023-10-31")), cells(as.Date("2024-10-01"), as.Date("2024-10-31")),
  by = c("region", "plan", "tenure"), all = TRUE, suffixes = c("0", "1"))
both[is.na(both)] <- 0
names <- c("region", "plan", "tenure")
key <- function(s) if (length(s)) do.call(paste, both[s]) else rep("", nrow(both))
moved <- function(s, to, from) {
  out <- numeric(nrow(both))
  for (k in unique(key(s))) {
    i <- key(s) == k
    out[i] <- if (sum(from[i]) > 0) sum(to[i]) * from[i] / sum(from[i]) else to[i]
  }
  out
}
p0 <- both$n0 / sum(both$n0); p1 <- both$n1 / sum(both$n1)
r0 <- ifelse(both$n0 > 0, both$d0 / both$n0, both$d1 / both$n1)
r1 <- ifelse(both$n1 > 0, both$d1 / both$n1, both$d0 / both$n0)
state <- function(s) (moved(s, p1, p0) + moved(setdiff(names, s), p0, p1)) / 2
mix <- setNames(numeric(3), names)
orders <- list(c(1, 2, 3), c(1, 3, 2), c(2, 1, 3), c(2, 3, 1), c(3, 1, 2), c(3, 2, 1))
for (o in orders) for (j in 1:3) {
  before <- names[o[seq_len(j - 1)]]
  mix[o[j]] <- mix[o[j]] + sum((state(c(before, names[o[j]])) - state(before)) * (r0 + r1) / 2) / 6
}
rate <- tapply((p0 + p1) / 2 * (r1 - r0), both$region, sum)
total <- sum(both$d1) / sum(both$n1) - sum(both$d0) / sum(both$n0)
stopifnot(abs(sum(mix) + sum(rate) - total) < 1e-14)
write.csv(data.frame(kind = rep(c("rate", "mix", "total"), c(3, 3, 1)), item = c(names(rate), names, ""),
  contribution = c(rate, mix, total)), "public_parts.csv", row.names = FALSE, quote = FALSE)

# ---- the event of May 2024: quasi-Poisson with trend (Lopez Bernal et al. 2017) ---------------------------------------
x <- m[m$n > 0, ]
x$long <- x$n * x$days / (365.2425 / 12); x$time <- seq_len(nrow(x)) / 12
x$after <- 1 * (x$period >= "2024-05"); x$since <- x$after * (seq_len(nrow(x)) - which(x$period == "2024-05"))
full <- glm(d ~ offset(log(long)) + time + after + since, quasipoisson, x)
before <- glm(d ~ offset(log(long)) + time, quasipoisson, x[x$after == 0, ])
expected <- predict(before, x[x$after == 1, ], type = "response")
write.csv(data.frame(level = exp(coef(full)["after"]), slope = exp(coef(full)["since"]),
  n_lost = sum(x$d[x$after == 1]), excess = sum(x$d[x$after == 1]) - sum(expected)), "public_event.csv", row.names = FALSE)
