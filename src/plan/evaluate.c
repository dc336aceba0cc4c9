/*-------------------------------------------------------------------------
 *
 * evaluate.c
 *		For which of some values of a column is an expression true?
 *
 * The values are constants, and nothing of a table is read, so this is what
 * constant folding does with one value.  But the planner folds what is
 * evaluated in any case, and a query may never meet these values.  So an error
 * here is not the query's: it is caught in a subtransaction, and then nothing
 * is known.  Where no subtransaction can be had, only functions are called
 * that do not fail; these are called without one everywhere.
 *
 * What this file refuses to know: what the values are, what is sent.
 *
 * IDENTIFICATION
 *		src/plan/evaluate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "plan/graph_plan.h"

/* What is evaluated. */
typedef struct Evaluation
{
	Expr	   *expr;
	const Var  *var;
	const GraphCandidates *candidates;
	GraphTruth *truths;
} Evaluation;

/*
 * is_fallible_function
 *		Callback: may this function raise an error?
 *
 * One that is leakproof may not: an error would tell what it was given.
 */
static bool
is_fallible_function(Oid function, void *context)
{
	return !get_func_leakproof(function);
}

/*
 * is_known_to_work
 *		Is this one of the usual functions that are not called leakproof, but do
 *		not fail where they are called with these arguments?
 *
 * A pattern of LIKE may end in a backslash with nothing to escape, and not
 * every collation has LIKE.
 */
static bool
is_known_to_work(Oid function, Oid collation, List *args)
{
	const Const *pattern;

	if (!OidIsValid(collation))
		return false;
	switch (function)
	{
		case F_LOWER_TEXT:
		case F_UPPER_TEXT:
			return true;
		case F_TEXTLIKE:
		case F_TEXTNLIKE:
		case F_TEXTICLIKE:
		case F_TEXTICNLIKE:
			pattern = lsecond(args);
			return IsA(pattern, Const) && !pattern->constisnull &&
				get_collation_isdeterministic(collation) &&
				strchr(TextDatumGetCString(pattern->constvalue), '\\') == NULL;
		default:
			return false;
	}
}

/*
 * is_fallible
 *		May the evaluation of a part of an expression raise an error?
 */
static bool
is_fallible(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_RelabelType:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_List:
			break;
		case T_OpExpr:
			set_opfuncid((OpExpr *) node);
			if (is_known_to_work(((OpExpr *) node)->opfuncid,
								 ((OpExpr *) node)->inputcollid,
								 ((OpExpr *) node)->args))
				break;
			pg_fallthrough;
		case T_DistinctExpr:
		case T_ScalarArrayOpExpr:
			/* a comparison of text fails where no collation is known */
			if (!OidIsValid(exprInputCollation(node)) ||
				check_functions_in_node(node, is_fallible_function, NULL))
				return true;
			break;
		case T_FuncExpr:
			if (!is_known_to_work(((FuncExpr *) node)->funcid,
								  ((FuncExpr *) node)->inputcollid,
								  ((FuncExpr *) node)->args))
				return true;
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, is_fallible, context);
}

/*
 * replace_column
 *		A copy of an expression with a parameter in the place of the column.
 */
static Node *
replace_column(Node *node, void *context)
{
	const Var  *var = context;
	Param	   *param;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, replace_column, context);
	param = makeNode(Param);
	param->paramkind = PARAM_EXEC;
	param->paramid = 0;
	param->paramtype = var->vartype;
	param->paramtypmod = var->vartypmod;
	param->paramcollid = var->varcollid;
	param->location = -1;
	return (Node *) param;
}

/*
 * evaluate
 *		The truth for each value.
 */
static void
evaluate(const Evaluation *evaluation)
{
	const GraphCandidates *candidates = evaluation->candidates;
	ExprContext *econtext = CreateStandaloneExprContext();
	ParamExecData param = {0};
	Expr	   *expr;
	ExprState  *state;

	expr = (Expr *) replace_column((Node *) evaluation->expr,
								   unconstify(Var *, evaluation->var));
	fix_opfuncids((Node *) expr);
	econtext->ecxt_param_exec_vals = &param;
	state = ExecInitExpr(expr, NULL);
	for (int i = 0; i < candidates->count; i++)
	{
		Datum		result;
		bool		isnull;

		param.value = candidates->values[i];
		param.isnull = candidates->nulls[i];
		result = ExecEvalExprSwitchContext(state, econtext, &isnull);
		evaluation->truths[i] = isnull ? GRAPH_NEITHER :
			DatumGetBool(result) ? GRAPH_TRUE : GRAPH_FALSE;
		ResetExprContext(econtext);
	}
	FreeExprContext(econtext, true);
}

/*
 * is_ours
 *		Is an error one that the expression has raised, rather than something
 *		that ends the query?
 */
static bool
is_ours(const ErrorData *error)
{
	int			class = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return class != ERRCODE_OPERATOR_INTERVENTION &&
		class != ERRCODE_INSUFFICIENT_RESOURCES &&
		class != ERRCODE_TRANSACTION_ROLLBACK;
}

/*
 * evaluate_safely
 *		The same in a subtransaction; false if it raised an error.
 */
static bool
evaluate_safely(const Evaluation *evaluation)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		evaluate(evaluation);
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (!is_ours(error))
			ReThrowError(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return done;
}

/*
 * graph_evaluate
 *		Whether a boolean expression is true for each value that its only column
 *		may have; false if that cannot be said.
 *
 * The expression has no parameter and calls PostgreSQL's own immutable
 * functions only.  Memory
 * is taken from the current context, which the caller is to delete.
 */
bool
graph_evaluate(Expr *expr, const Var *var, const GraphCandidates *candidates,
			   GraphTruth *truths)
{
	Evaluation	evaluation = {expr, var, candidates, truths};

	if (!is_fallible((Node *) expr, NULL))
	{
		evaluate(&evaluation);
		return true;
	}
	if (IsInParallelMode() || IsParallelWorker())
		return false;
	return evaluate_safely(&evaluation);
}
